"""Sparse convolution equals the dense one wherever sites are active; its gradients are those of the dense one."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from models.dpsnet import sparse
from models.dpsnet.sparse import Rulebook, Sites, SparseConv2d, active_sites

GRIDS = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


def layer(channels_in=5, channels=4, kernel=3, stride=1, bias=True, dtype=torch.float32):
    conv = SparseConv2d(channels_in, channels, kernel, stride, bias).to(dtype)
    if bias:
        torch.nn.init.normal_(conv.bias)
    return conv


def dense(conv, x):
    return F.conv2d(x, conv.weight, conv.bias, conv.stride, conv.kernel // 2)


@given(shape=GRIDS, kernel=st.sampled_from([1, 3, 5]), stride=st.sampled_from([1, 2, 3]), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_with_every_site_active_it_is_the_dense_convolution(shape, kernel, stride, seed):
    torch.manual_seed(seed)
    conv = layer(kernel=kernel, stride=stride, bias=bool(seed % 2))
    n, height, width = shape
    x = torch.randn(n, 5, height, width)
    expected = dense(conv, x)
    inputs, outputs = Sites.all(shape), Sites.all((n, *expected.shape[2:]))
    found = outputs.scatter(conv(inputs.gather(x), Rulebook(inputs, outputs, kernel, stride)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(conv(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), expected, atol=1e-5, rtol=1e-5)


@given(
    shape=GRIDS,
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
    share=st.sampled_from([0.0, 0.2, 0.7, 1.0]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=100)
def test_any_active_set_gives_the_dense_values_of_a_picture_that_is_zero_elsewhere(shape, kernel, stride, share, seed):
    torch.manual_seed(seed)
    conv = layer(kernel=kernel, stride=stride)
    n, height, width = shape
    inputs = Sites.where(torch.rand(shape) < share)
    outputs = Sites.where(torch.rand(n, -(-height // stride), -(-width // stride)) < share)
    table = torch.randn(len(inputs), 5, requires_grad=True)
    copy = table.detach().clone().requires_grad_()
    found = conv(table, Rulebook(inputs, outputs, kernel, stride))
    expected = outputs.gather(dense(conv, inputs.scatter(copy)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    towards = torch.randn_like(found)
    weights = torch.autograd.grad((found * towards).sum(), [table, conv.weight])
    dense_weights = torch.autograd.grad((expected * towards).sum(), [copy, conv.weight])
    for ours, theirs in zip(weights, dense_weights, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_gradients_agree_with_differences():
    torch.manual_seed(0)
    sites = Sites.where(torch.rand(2, 5, 4) < 0.5)
    conv = layer(3, 2, dtype=torch.float64)
    table = torch.randn(len(sites), 3, dtype=torch.float64, requires_grad=True)
    rulebook = Rulebook(sites, sites)

    def run(x, weight, bias):
        return torch.func.functional_call(conv, {"weight": weight, "bias": bias}, (x, rulebook))

    assert torch.autograd.gradcheck(run, (table, conv.weight, conv.bias))


def test_more_sites_than_a_chunk_holds(monkeypatch):
    conv = layer()
    sites = Sites.where(torch.rand(1, 9, 9) < 0.8)
    table, rulebook = torch.randn(len(sites), 5), Rulebook(sites, sites)
    expected = conv(table, rulebook)
    monkeypatch.setattr(sparse, "CHUNK", 7)
    torch.testing.assert_close(conv(table, rulebook), expected)


def test_activity_does_not_spread():
    sites = Sites.where(F.one_hot(torch.tensor([4]), 9).view(1, 3, 3).bool())
    conv = layer(1, 1, bias=False)
    out = conv(torch.ones(1, 1), Rulebook(sites, sites))
    assert torch.equal(out, conv.weight[:, :, 1, 1])


def test_a_rulebook_names_the_rows_beneath_each_window():
    sites = Sites.where(torch.tensor([[[1, 1], [0, 1]]]).bool())
    nothing = 3
    assert Rulebook(sites, sites).rules.tolist() == [
        [nothing, nothing, nothing, nothing, 0, 1, nothing, nothing, 2],
        [nothing, nothing, nothing, 0, 1, nothing, nothing, 2, nothing],
        [0, 1, nothing, nothing, 2, nothing, nothing, nothing, nothing],
    ]


def test_windows_do_not_reach_into_the_next_picture():
    sites = Sites.where(torch.tensor([[[0, 1]], [[1, 0]]]).bool())
    rules = Rulebook(sites, sites).rules
    assert (rules < 2).sum() == 2


@given(shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)), fraction=st.floats(0, 1))
@settings(deadline=None, max_examples=40)
def test_each_picture_has_its_share_of_sites(shape, fraction):
    n, rows, columns = shape
    sites = active_sites(torch.rand(n, 3, 4 * rows, 4 * columns), 4, fraction)
    picture, _, _ = sites.places
    assert picture.bincount(minlength=n).tolist() == [round(fraction * rows * columns)] * n
    assert (sites.index.diff() > 0).all()


def test_sites_lie_where_the_picture_changes():
    picture = torch.zeros(1, 3, 32, 32)
    picture[..., 14:] = 1  # an edge in the fourth column of cells
    sites = active_sites(picture, 4, 8 / 64)
    _, row, column = sites.places
    assert row.tolist() == list(range(8))
    assert set(column.tolist()) == {3}


def test_gathering_undoes_scattering():
    sites = Sites.where(torch.rand(2, 4, 5) < 0.5)
    table = torch.randn(len(sites), 3)
    full = sites.scatter(table)
    assert full.shape == (2, 3, 4, 5)
    assert torch.equal(sites.gather(full), table)
    assert full.abs().sum() == pytest.approx(table.abs().sum().item(), rel=1e-5)


def test_what_does_not_fit_is_refused():
    sites = Sites.all((1, 4, 4))
    with pytest.raises(ValueError, match="odd side"):
        Rulebook(sites, sites, 2)
    with pytest.raises(ValueError, match="stride 2"):
        Rulebook(sites, sites, 3, 2)
    with pytest.raises(ValueError, match="rulebook of another"):
        layer(stride=2)(torch.zeros(16, 5), Rulebook(sites, sites))
    with pytest.raises(ValueError, match=r"\(16, 5\)"):
        layer()(torch.zeros(15, 5), Rulebook(sites, sites))
    with pytest.raises(ValueError, match="without a rulebook"):
        layer()(torch.zeros(16, 5))
    with pytest.raises(ValueError, match="as many rows"):
        sites.scatter(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="of that grid"):
        sites.gather(torch.zeros(1, 2, 4, 5))
    with pytest.raises(ValueError, match="multiples of 4"):
        active_sites(torch.zeros(1, 3, 8, 10), 4, 0.5)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        active_sites(torch.zeros(1, 3, 8, 8), 4, 1.5)
    with pytest.raises(ValueError, match="mask of sites"):
        Sites.where(torch.ones(3, 3))
