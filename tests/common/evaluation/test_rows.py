import pytest
from ignite.engine import Engine

from common.evaluation import RowMetric
from common.training import ProgressBar


def run(handler, batches, name="score"):
    """An engine whose output is its batch, both lists of dictionaries as after decollating."""
    engine = Engine(lambda engine, batch: batch)
    handler.attach(engine, name)
    engine.run(batches)
    return engine


def row(item, result):
    return {"case": item["case"], "slice": item["slice"], "value": result["value"]}


def total(rows):
    return sum(entry["value"] for entry in rows)


def sample(case, slice, value):
    return {"case": case, "slice": slice, "value": value}


def test_metric_sees_every_sample_of_the_epoch_once():
    batches = [[sample("a", 0, 1), sample("a", 1, 2)], [sample("b", 0, 4)]]
    assert run(RowMetric(row, total), batches).state.metrics["score"] == 7


def test_samples_that_a_distributed_sampler_repeats_count_once():
    batches = [[sample("a", 0, 1)], [sample("b", 0, 4)], [sample("a", 0, 1)]]
    assert run(RowMetric(row, total), batches).state.metrics["score"] == 5


def test_two_cases_of_one_name_are_refused_and_not_taken_for_one():
    def labelled(item, result):
        return {**row(item, result), "label": item["label"]}

    one = {**sample("a", 0, 1), "label": 1}
    assert run(RowMetric(labelled, total), [[one], [{**one, "value": 1.01}]]).state.metrics["score"] == 1
    unknown = {**one, "label": float("nan")}
    assert run(RowMetric(labelled, total), [[unknown], [dict(unknown)]]).state.metrics["score"] == 1
    with pytest.raises(ValueError, match="two that are called a; rename"):
        run(RowMetric(labelled, total), [[one], [{**one, "label": 0}]])


def test_an_epoch_forgets_the_one_before():
    metric = RowMetric(row, total)
    engine = Engine(lambda engine, batch: batch)
    metric.attach(engine, "score")
    engine.run([[sample("a", 0, 3)]], max_epochs=3)
    assert engine.state.metrics["score"] == 3


def test_unequal_numbers_of_items_and_results_are_an_error():
    metric = RowMetric(row, total)
    engine = Engine(lambda engine, batch: batch[:1])
    metric.attach(engine, "score")
    with pytest.raises(ValueError, match="zip"):
        engine.run([[sample("a", 0, 3), sample("a", 1, 3)]])


def test_the_progress_bar_counts_to_the_end(capfd):
    engine = Engine(lambda engine, batch: None)
    ProgressBar(desc="counting").attach(engine)
    engine.run(range(3))
    assert "counting" in capfd.readouterr().err
