"""When a job of a sweep is not worth going on with: the rules on made-up curves."""

import pytest

from discerna.settings.sweep import AshaSettings, BanditSettings, MedianSettings, NoTerminationSettings
from discerna.training.early_termination import rungs, verdict


def curve(*values):
    return dict(enumerate(values, 1))


def bandit(**given):
    return BanditSettings(
        **{"name": "bandit", "interval": 1, "delay": 0, "slack": 0.2, "slack_amount": None, **given}
    )


def median(**given):
    return MedianSettings(**{"name": "median", "interval": 1, "delay": 0, "others": 2, **given})


ASHA = AshaSettings(name="asha", min_epochs=1, reduction=3)


def test_without_a_rule_every_job_goes_on():
    assert verdict(NoTerminationSettings(name="none"), curve(9.0), [curve(0.1)], "min") == ""


def test_bandit_as_hyperdrive_documents_it():
    # 0.8 is the best at this point: with a slack of 0.2 whoever is below 0.8 / 1.2 = 0.66 ends.
    others = [curve(0.8), curve(0.3)]
    assert verdict(bandit(), curve(0.67), others, "max") == ""
    assert "behind the best job (0.8) by more than slack 0.2" in verdict(bandit(), curve(0.66), others, "max")
    # And of what is to become small, whoever is above 0.5 * 1.2.
    assert verdict(bandit(), curve(0.59), [curve(0.5)], "min") == ""
    assert verdict(bandit(), curve(0.61), [curve(0.5)], "min")
    assert verdict(bandit(slack_amount=0.2), curve(0.69), [curve(0.5)], "min") == ""
    assert "slack_amount 0.2" in verdict(bandit(slack_amount=0.2), curve(0.71), [curve(0.5)], "min")


@pytest.mark.parametrize("rule", [bandit, median])
def test_a_rule_looks_from_an_epoch_on_and_at_intervals(rule):
    others = [curve(*[0.1] * 9)] * 3
    looks = [e for e in range(1, 9) if verdict(rule(delay=3, interval=2), curve(*[9.0] * e), others, "min")]
    assert looks == [4, 6, 8]


def test_where_validation_is_rare_a_rule_looks_at_the_next_one():
    others = [{2: 0.1, 4: 0.1, 6: 0.1, 8: 0.1, 10: 0.1}] * 3

    def looks(rule):
        own = [{at: 9.0 for at in range(2, last + 1, 2)} for last in (2, 4, 6, 8, 10)]
        return [max(one) for one in own if verdict(rule, one, others, "min")]

    assert looks(ASHA) == [2, 4, 10]  # for 1, 3 and 9
    assert looks(bandit(interval=5)) == [6, 10]
    assert looks(median(delay=3)) == [4, 6, 8, 10]


def test_the_best_epoch_so_far_counts():
    assert verdict(bandit(), curve(0.5, 9.0), [curve(0.5, 0.5)], "min") == ""


def test_others_count_at_the_same_epoch():
    assert verdict(bandit(), curve(1.0), [curve(1.0, 0.1, 0.01)], "min") == ""
    assert verdict(bandit(), curve(1.0, 1.0), [curve(1.0)], "min") == ""
    assert verdict(bandit(), curve(1.0, 1.0), [curve(1.0, 0.1)], "min")


def test_median_of_running_averages():
    others = [curve(1.0, 0.6), curve(1.0, 0.4), curve(1.0, 0.2)]  # 0.8 0.7 0.6 on average
    assert verdict(median(), curve(2.0, 0.7), others, "min") == ""
    assert "worse than the median of 3 others (0.7)" in verdict(median(), curve(2.0, 0.71), others, "min")
    assert verdict(median(others=4), curve(2.0, 0.71), others, "min") == ""


def test_asha_lets_the_best_share_go_on():
    assert rungs(1, 3, 30) == [1, 3, 9, 27]
    assert rungs(2, 4, 40) == [2, 8, 32]
    assert verdict(ASHA, curve(0.5), [], "min") == ""  # the first to come
    assert verdict(ASHA, curve(0.5), [curve(0.4)], "min")
    assert verdict(ASHA, curve(0.5), [curve(0.6)], "min") == ""
    three = [curve(0.4), curve(0.6), curve(0.7)]  # 4 in all: 2 may go on
    assert verdict(ASHA, curve(0.5), three, "min") == ""
    assert "2 of the 3 others that came to epoch 1 were better; 2 may go on" in verdict(
        ASHA, curve(0.65), three, "min"
    )
    assert verdict(ASHA, curve(0.9, 0.9), [curve(0.1, 0.1)], "min") == ""  # no rung
    assert verdict(ASHA, curve(0.9, 0.9, 0.2), [curve(0.1, 0.1)], "min") == ""  # the first at this rung
    assert verdict(ASHA, curve(0.5), [curve(0.6)], "max")
