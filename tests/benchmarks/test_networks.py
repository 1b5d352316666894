import pytest

from benchmarks.networks import accuracy, own_cells, weights_bytes
from reid import backends
from reid.backends.weights import WEIGHTS


def test_a_ready_backend_has_its_row(monkeypatch):
    dim, size, one, many = own_cells("hsv-stripes")
    assert dim == f"{backends.card('hsv-stripes').dim:,}"
    assert size == ""
    assert float(one) > 0
    assert float(many) > 0


def test_one_that_is_not_ready_is_passed_over(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert own_cells("vggnet.imagenet") is None


def test_weights_are_those_on_disk():
    shipped = (WEIGHTS / "resnet.partwise.safetensors").stat().st_size
    assert weights_bytes(backends.create("resnet.partwise")) == shipped


@pytest.mark.parametrize("layout", ["market1501", "corel"])
def test_without_a_data_set_the_column_stays_empty(layout):
    assert accuracy("hsv-stripes", None, layout) == ""
