"""Work on a Dask cluster: results by name, failures by name, and plain words for what is no cluster."""

import operator
import sys
from functools import partial

import pytest

from lesionlab.core.errors import OptionError
from lesionlab.engine.cluster import check_cluster, gather


@pytest.mark.parametrize("where", ["local:0", "local:", "local:two", "four", ""])
def test_what_is_no_cluster_is_refused(where: str):
    with pytest.raises(OptionError, match="the address of a Dask scheduler; found"):
        check_cluster(where)


def test_dask_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(OptionError, match=r"pip install 'lesionlab\[cluster\]'"):
        check_cluster("local:2")


@pytest.mark.slow
def test_one_that_fails_stops_no_other():
    jobs = {f"{divisor}": partial(operator.floordiv, 6, divisor) for divisor in (3, 0, 2, 1)}
    done = gather(jobs, where="local:2")
    assert list(done.results.items()) == [("3", 2), ("2", 3), ("1", 6)]
    assert list(done.failures) == ["0"]
    assert "zero" in done.failures["0"]


@pytest.mark.slow
def test_an_address_where_nobody_listens_is_refused():
    with pytest.raises(OptionError, match=r"a Dask scheduler; found .*; in --cluster tcp://127\.0\.0\.1:9;"):
        gather({"one": partial(operator.floordiv, 6, 3)}, where="tcp://127.0.0.1:9")
