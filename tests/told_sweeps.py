"""What sweep.json may tell: a plausible sweep of any size, and the odd ones."""

import math
import random
from typing import Any

RATES = ["0.0001", "0.0003", "0.001", "0.003", "0.01", "0.03"]
MODELS = ["resnet18", "mobilenet_v3_small", "efficientnet_b0"]
Told = dict[str, Any]


def told(jobs: list[Told], **other: Any) -> Told:
    """sweep.json of these jobs, each a point of its own unless they name one in common."""
    done = [job for job in jobs if job["value"] is not None and job["state"] in ("finished", "stopped early")]
    best = min(done, key=lambda job: job["value"])["number"] if done else None
    points: dict[int, list[Told]] = {}
    for job in jobs:
        points.setdefault(job["point"], []).append(job)
    return {
        "discerna": "0.2.0",
        "command": "sweep",
        "monitor": "valid_loss",
        "mode": "min",
        "search": "grid",
        "early_termination": "none",
        "began": "2026-05-12T09:14:03+02:00",
        "ended": "2026-05-12T11:02:41+02:00",
        "seconds": 6518.0,
        "varying": list(jobs[0]["varying"]) if jobs else [],
        "best": best,
        "output": "/data/models/flowers.sweep",
        "repeats": max(map(len, points.values()), default=1),
        "jobs": jobs,
        "points": [point(number, own) for number, own in points.items()],
    } | other


def point(number: int, jobs: list[Told]) -> Told:
    values = [job["value"] for job in jobs if job["value"] is not None]
    mean = sum(values) / len(values) if values else None
    spread = None
    if mean is not None and len(values) > 1:
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return {
        "number": number,
        "varying": jobs[0]["varying"],
        "jobs": [job["number"] for job in jobs],
        "value": mean,
        "spread": spread,
    }


def job(number: int, varying: dict[str, str], state: str = "finished", **other: Any) -> Told:
    """One job; a curve and what follows from it where it is given as `curve`."""
    curve = other.get("curve", [])
    values = [value for _, value in curve]
    value = min(values) if values and state != "failed" else None
    return {
        "number": number,
        "point": number,
        "varying": varying,
        "state": state,
        "reason": "",
        "value": value,
        "accuracy": None if value is None else max(0.0, 0.99 - value * 0.35),
        "best_epoch": values.index(value) + 1 if value is not None else None,
        "epochs_trained": len(curve),
        "epochs": 12,
        "seconds": 0.0 if state == "waiting" else 14.0 * len(curve) + 6,
        "output": f"/data/models/flowers.sweep/{number}",
        "error": "",
        "curve": curve,
    } | other


def curve(rng: random.Random, goal: float, speed: float, epochs: int) -> list[list[float]]:
    """A loss that falls to `goal` and then rises a little."""
    return [
        [
            epoch,
            round(
                goal
                + (2.1 - goal) * math.exp(-speed * epoch)
                + 0.012 * goal * max(0, epoch - 8)
                + rng.gauss(0, 0.02 * goal),
                4,
            ),
        ]
        for epoch in range(1, epochs + 1)
    ]


def plausible(count: int = 48, seed: int = 3, repeats: int = 1, extra: int = 0) -> Told:
    """A search over rate, network, augmentation and decay, in which some jobs are pruned or fail."""
    rng = random.Random(seed)
    jobs: list[Told] = []
    for number in range(count):
        if number % repeats == 0:
            rate, model = rng.choice(RATES), rng.choice(MODELS)
            strength = rng.choice(["none", "light", "strong"])
            decay = f"{10 ** rng.uniform(-6, -2):.2e}"
            others = {f"group_{n}.setting_{n}": f"{rng.uniform(0, 1):.3f}" for n in range(extra)}
        far = abs(math.log10(float(rate)) + 2.7) + {"resnet18": 0.2, "efficientnet_b0": 0.0}.get(model, 0.5)
        goal = 0.09 + 0.16 * far**1.5 + {"none": 0.06, "light": 0.0, "strong": 0.02}[strength]
        goal *= rng.uniform(0.92, 1.08)
        line = curve(rng, goal, 0.75 / (0.6 + far), 12)
        state, reason, error = "finished", "", ""
        if far > 1.25 and rng.random() < 0.7:
            line, state, reason = line[: rng.choice([3, 5])], "pruned", "worse than the median of the others"
        elif rng.random() < 0.08:
            line, state = line[: rng.choice([0, 2])], "failed"
            error = "not enough memory on the GPU: batch_size=64; 23.6 GB are there; lower batch_size"
        elif rng.random() < 0.2:
            line, state, reason = line[:10], "stopped early", "no improvement in 3 epochs"
        varying = {"learning_rate": rate, "model": model, "augmentation": strength}
        varying |= {"optimizer.weight_decay": decay} | others
        point_of = number // repeats
        jobs.append(job(number, varying, state, point=point_of, reason=reason, error=error, curve=line))
    return told(jobs, search="optuna", early_termination="median")


HOSTILE = (
    "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">&lt;!--"
)
LONG = "/data/" + "a-very-long-folder-name-of-somebody/" * 6 + "Fotoğraflar 花の写真 žluté.model"


def odd() -> dict[str, Told]:
    """Sweeps that look unlike others, by name."""
    rng = random.Random(1)
    good = curve(rng, 0.2, 0.5, 6)
    failed = [
        job(n, {"learning_rate": rate}, "failed", error=f"no such folder: train_data={LONG}\n  line two")
        for n, rate in enumerate(RATES)
    ]
    waiting = [job(n, {"learning_rate": rate}, "waiting") for n, rate in enumerate(RATES)]
    going = plausible(20)
    for late in going["jobs"][12:]:
        late |= job(late["number"], late["varying"], "waiting")
    going["jobs"][11] |= job(11, going["jobs"][11]["varying"], "running", curve=good[:2], value=None)
    going["jobs"][10] |= {"state": "preempted", "reason": "the machine was taken back"}
    diverged = [[1, 2.0], [2, 410.0], [3, None]]
    hostile = [
        job(0, {HOSTILE: HOSTILE, "b": "\udcff\u202egnp.\n\t"}, curve=good, output=f"/m/{HOSTILE}'\n"),
        job(1, {HOSTILE: "x", "b": "y"}, "failed", error=f"{HOSTILE}\nline", reason=HOSTILE),
    ]
    return {
        "nothing": told([]),
        "one job": told([job(0, {"learning_rate": "0.001"}, curve=good)]),
        "one job, nothing varies": told([job(0, {}, curve=good)]),
        "none done": told(waiting, ended=None, seconds=4.0),
        "all failed": told(failed),
        "going on": going | {"ended": None, "best": 0},
        "one setting": told(
            [job(n, {"learning_rate": r}, curve=curve(rng, 0.1 + n / 9, 0.4, 5)) for n, r in enumerate(RATES)]
        ),
        "twelve settings": plausible(40, extra=8),
        "one epoch": told(
            [job(n, {"model": m}, curve=[[1, 0.5 + n / 10]]) for n, m in enumerate(MODELS)], mode="min"
        ),
        "long names": told(
            [
                job(n, {"model": LONG + str(n), "augmentation.数据增强.strength_of_everything": m}, curve=c)
                for n, m, c in ((0, "žluté květy", good), (1, "非常に強い", good[:4]), (2, LONG, good[:3]))
            ],
            output=LONG,
        ),
        "accuracy": told(
            [
                job(n, {"batch_size": str(8 * 2**n)}, curve=[[e, 0.5 + n / 20 + e / 40] for e in (1, 2, 3)])
                | {"value": 0.575 + n / 20}
                for n in range(4)
            ],
            monitor="valid_accuracy",
            mode="max",
            best=3,
        ),
        "diverged": told(
            [
                job(0, {"learning_rate": "10"}, "failed", curve=diverged, error="the loss is not finite"),
                *(job(n, {"learning_rate": RATES[n]}, curve=curve(rng, 0.1, 0.5, 6)) for n in (1, 2, 3)),
            ]
        ),
        "unset": told(
            [
                job(n, {"optimizer": o} | ({"momentum": "0.9"} if o == "sgd" else {}), curve=good)
                for n, o in enumerate(["sgd", "adam", "sgd", "adamw"])
            ],
            varying=["optimizer", "momentum"],
        ),
        "hostile": told(hostile, output=HOSTILE),
        "repeated": plausible(36, repeats=3),
    }
