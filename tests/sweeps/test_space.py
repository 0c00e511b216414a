"""Hydra's grammar as a search space: what varies, how a chosen value is written, what makes no sense."""

import math

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from discerna.composition import compose_prepared
from discerna.errors import SettingsError
from discerna.overrides import PACKAGED, Source, available_groups, literal, prepare_overrides
from discerna.sweeps.elements import Steps
from discerna.sweeps.expansion import expand
from discerna.sweeps.space import Choices, Interval, from_mapping, split_space

GROUPS = available_groups(PACKAGED)
BASE = ["model=tiny", "train_data=a", "valid_data=b"]


def of_sweep(*typed, source=PACKAGED):
    prepared = prepare_overrides("train", [*BASE, *typed], source, multirun=True)
    return compose_prepared("train", dict(text.split("=", 1) for text in prepared), source, of_sweep=True)


def space(*typed):
    return split_space(prepare_overrides("train", typed, PACKAGED, multirun=True), GROUPS)


def axis(typed):
    (found,) = space(typed).axes.values()
    return found


def composed(text):
    """What Hydra and OmegaConf make of an override's value."""
    value = OverridesParser.create().parse_override(f"k={text}").value()
    return OmegaConf.to_container(OmegaConf.create({"k": value}), resolve=True)["k"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("batch_size=8,16", Choices(("8", "16"))),
        ("batch_size=choice(8,16,8)", Choices(("8", "16"))),
        ("optimizer=sgd,adamw", Choices(("sgd", "adamw"))),
        ("scheduler=glob(co*)", Choices(("constant", "cosine"))),
        ("max_minutes=null,1.5", Choices(("null", "1.5"))),
        ("overwrite=true,False", Choices(("true", "false"))),
        ("experiment_name='a b',c", Choices(("'a b'", "'c'"))),
        ("networks.modules=[a],[a,'b c']", Choices(("[a]", "[a,'b c']"))),
        ("arguments.x={a:1},2", Choices(("{a:1}", "2"))),
        ("learning_rate=interval(0,1)", Interval(0.0, 1.0)),
        ("learning_rate=tag(log,interval(1e-5,1e-1))", Interval(1e-5, 1e-1, log=True)),
        ("epochs=int(interval(1,5))", Interval(1, 5)),
        ("epochs=tag(log,int(interval(1,5)))", Interval(1, 5, log=True)),
        ("epochs=int(tag(log,interval(1,5)))", Interval(1, 5, log=True)),
        ("epochs=tag(log,range(1,6))", Interval(1, 5, log=True)),
        ("epochs=range(1,5)", Steps(1, 1, 4)),
        ("epochs=range(10,1,-3)", Steps(4, 3, 3)),
        ("ema=range(0,0.9,0.3)", Steps(0.0, 0.3, 3)),
        (
            "ema=range(1,2.4,0.3333333333333333)",
            Choices(("1.0", "1.3333333333333333", "1.6666666666666665", "2.0", "2.333333333333333")),
        ),
    ],
)
def test_what_varies(typed, expected):
    assert axis(typed) == expected


def test_what_is_fixed_stays_as_it_was_prepared():
    found = space(*BASE, "epochs=3", "optimizer=sgd", "batch_size=8,16", "epochs=int(interval(1,3))")
    assert found.fixed == {
        "++model": "'tiny'",
        "++train_data": "'a'",
        "++valid_data": "'b'",
        "optimizer": "sgd",
    }
    assert list(found.axes) == ["++batch_size", "++epochs"]
    assert found.size == 6
    point = found.point(7, {"batch_size": "16", "epochs": 2})
    assert point.number == 7
    assert point.overrides == {**found.fixed, "++batch_size": "16", "++epochs": "2"}
    assert point.varying == {"batch_size": "16", "epochs": "2"}
    assert compose_prepared("train", point.overrides, PACKAGED).epochs == 2


def test_a_path_is_shown_without_quotes():
    found = space("train_data=x y,'b,c'")
    assert [found.point(0, {"train_data": v}).varying for v in found.axes["++train_data"].values] == [
        {"train_data": "x y"},
        {"train_data": "b,c"},
    ]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("learning_rate=interval(1,0.1)", "the smaller first"),
        ("learning_rate=interval(1,1)", "the smaller first"),
        ("learning_rate=interval(0,inf)", "two numbers"),
        ("epochs=int(interval(1.2,1.8))", "not an interval"),
        ("learning_rate=tag(log,interval(0,1))", "begins above 0"),
        ("epochs=tag(log,range(0,5))", "begins above 0"),
        ("epochs=tag(log,range(1,9,2))", "no steps"),
        ("ema=tag(log,range(1.0,9.0))", "no steps"),
        ("learning_rate=tag(linear,interval(0,1))", "leave out linear"),
        ("batch_size=tag(log,choice(8,16))", "leave out log"),
        ("batch_size=shuffle(8,16)", "shuffle"),
        ("epochs=shuffle(range(1,5))", "shuffle"),
        ("batch_size=sort(16,8)", "sort"),
        ("batch_size=choice(8)", "single value"),
        ("epochs=range(1,2)", "single value"),
        ("optimizer=glob(adam*)", "single value"),
        ("epochs=range(5,1)", "without numbers"),
        ("epochs=range(1,5,0)", "without numbers"),
        ("learning_rate=range(0,inf,1)", "without numbers"),
        ("optimizer=glob(x*)", "nothing matches"),
        ("model=glob(res*)", "choices of a group"),
    ],
)
def test_what_makes_no_sense(typed, told):
    with pytest.raises(SettingsError, match=told) as caught:
        space(typed)
    assert caught.value.where == typed


def test_all_faults_are_told_together():
    with pytest.raises(SettingsError, match="2 faults"):
        space("epochs=range(1,2)", "learning_rate=interval(1,0)")


def test_a_grid_takes_no_interval():
    with pytest.raises(SettingsError, match="add sweep=optuna"):
        expand(["++learning_rate=interval(0,1)"], {})
    assert [job["a"] for job in expand(["a=range(0,0.5,0.1)"], {})] == ["0.0", "0.1", "0.2", "0.3", "0.4"]
    assert [job["a"] for job in expand(["a=range(3,0,-1)"], {})] == ["3", "2", "1"]
    assert [job["a"] for job in expand(["a=choice('1',1,'null')"], {})] == ["'1'", "1", "'null'"]


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])).filter(lambda t: "${" not in t),
)


@given(st.lists(SCALARS, min_size=1, max_size=4), st.booleans())
def test_a_choice_composes_to_exactly_the_value(values, simple):
    texts = ",".join(map(literal, values))
    if None in values and len(values) == 1:
        return
    simple = simple or None in values  # Hydra's choice() takes no null
    override = f"k={texts}" if simple and len(values) > 1 else f"k=choice({texts})"
    written = [job["k"] for job in expand([override], {})]
    back = [composed(text) for text in written]
    assert back == values
    assert list(map(type, back)) == list(map(type, values))


def test_references_stay_references():
    assert [job["k"] for job in expand(["k=${a},${b}"], {})] == ["'${a}'", "'${b}'"]
    assert [job["k"] for job in expand([r"k='\${a}',x"], {})] == [r"'\${a}'", "x"]


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_of_an_interval_is_written_to_the_last_digit(one, other):
    if one == other:
        return
    found = Interval(min(one, other), max(one, other))
    for value in found.ends:
        assert composed(found.text(value)) == value


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-7, 7).filter(bool))
def test_a_range_of_whole_numbers_is_pythons(start, stop, step):
    numbers = list(range(start, stop, step))
    if len(numbers) < 2:
        return
    jobs = expand([f"k=range({start},{stop},{step})"], {})
    assert [int(job["k"]) for job in jobs] == numbers
    found = split_space([f"k=range({start},{stop},{step})"], {}).axes["k"]
    assert [found.at(index) for index in range(found.size)] == sorted(numbers)


@given(st.integers(-20, 20), st.integers(1, 40), st.integers(1, 3))
def test_a_range_of_fractions_is_written_in_decimals(start, size, digits):
    step = 10**-digits
    stop = round(start + size * step, digits)
    found = [job["k"] for job in expand([f"k=range({float(start)},{stop!r},{step!r})"], {})]
    assert found == [repr(round(start + index * step, digits) + 0.0) for index in range(size)]
    steps = Steps(float(start), step, size)
    assert [steps.text(start + index * step) for index in range(size)] == found


@pytest.mark.parametrize("name", ["module", "recipe"])
def test_every_point_of_a_ready_space_composes(name):
    ready = of_sweep(f"space={name}").space
    assert ready
    prepared = prepare_overrides("train", [*BASE, f"space={name}"], PACKAGED, multirun=True)
    found = split_space([*prepared, *from_mapping(ready, (), PACKAGED)], GROUPS)
    assert len(found.axes) == len(ready)

    def values(axis):
        if isinstance(axis, Choices):
            return st.sampled_from(axis.values)
        return st.floats(*axis.ends)

    @settings(max_examples=8)
    @given(st.fixed_dictionaries({key.lstrip("+"): values(axis) for key, axis in found.axes.items()}))
    def composes(chosen):
        built = compose_prepared("train", found.point(0, chosen).overrides, PACKAGED, of_sweep=True)
        assert built.learning_rate == chosen["learning_rate"]
        assert built.batch_size == int(chosen["batch_size"])

    composes()


def test_probes_have_every_choice_and_every_end():
    found = space("optimizer=sgd,adamw,azure_sgd", "learning_rate=interval(0.1,1)", "epochs=range(1,9)")
    probes = [point.varying for point in found.probes()]
    assert [probe["optimizer"] for probe in probes] == ["sgd", "adamw", "azure_sgd"]
    assert {probe["learning_rate"] for probe in probes} == {"0.1", "1.0"}
    assert {probe["epochs"] for probe in probes} == {"1", "8"}


def test_what_is_typed_wins_over_a_ready_space():
    ready = {"learning_rate": "interval(0.1,1)", "optimizer": "sgd,adamw", "model": "choice(a b,c)"}
    assert from_mapping(ready, {"learning_rate"}, PACKAGED) == [
        "optimizer=sgd,adamw",
        "++model=choice('a b','c')",
    ]
    with pytest.raises(SettingsError, match="did you mean learning_rate"):
        from_mapping({"learning_rat": "1,2"}, (), PACKAGED)
    with pytest.raises(SettingsError, match="single value"):
        from_mapping({"epochs": "5"}, (), PACKAGED)


def test_a_space_of_ones_own(tmp_path):
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "mine.yaml").write_text(
        "batch_size: 4,8  # small\noptimizer.weight_decay: 0.1,0.2\n"
    )
    source = Source(tmp_path)
    ready = of_sweep("space=mine", source=source).space
    assert ready == {"batch_size": "4,8", "optimizer.weight_decay": "0.1,0.2"}
    assert from_mapping(ready, (), source) == ["++batch_size=4,8", "++optimizer.weight_decay=0.1,0.2"]


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("model=choice(resnet18, densenet121)", ["resnet18", "densenet121"]),
        ("model=choice('a,b',\"c d\",e f)", ["'a,b'", "'c d'", "'e f'"]),
        ("model='choice(1)',choice(2", ["'choice(1)'", "'choice(2'"]),
        ("train_data=range(0,2)", ["0", "1"]),
        ("model=sort(b,a)", ["a", "b"]),
        ("transforms=null,x", ["null", "'x'"]),
        ("pretrained=choice(true,w.pt)", ["true", "w.pt"]),
        ("pretrained=true,false", ["true", "false"]),
        ("model=a, b", ["'a'", "'b'"]),
    ],
)
def test_sweeps_of_paths(typed, values):
    prepared = prepare_overrides("train", [typed], PACKAGED, multirun=True)
    assert [next(iter(job.values())) for job in expand(prepared, {})] == values


def test_a_directory_that_looks_like_a_sweep_is_quoted():
    assert prepare_overrides("train", ["model='choice(1)'"], PACKAGED, multirun=True) == [
        "++model='choice(1)'"
    ]
    assert prepare_overrides("train", ["model=choice(1)"], PACKAGED) == ["++model='choice(1)'"]


def test_sizes():
    assert space("epochs=int(interval(1,4))", "batch_size=8,16").size == 8
    assert space("epochs=int(interval(1,4))", "learning_rate=interval(0,1)").size is None
    assert math.isclose(Steps(0.0, 0.1, 4).ends[1], 0.3)
