"""The figures of bodies: joints by the person's height, labels merged as CCP's tags demand."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import bodies
from models.gpn.anatomy import JOINTS, LABELS
from reid.images import save_image


def test_a_joint_counts_within_five_percent_of_the_height(monkeypatch, tmp_path):
    joints = np.zeros((23, 2), np.float32)
    joints[:, 1] = np.linspace(20, 120, 23)  # 100 pixels high
    joints_3d = np.zeros((23, 3), np.float32)
    mask = np.zeros((128, 64), np.uint8)
    mask[:64] = LABELS.index("upper clothes")
    one = SimpleNamespace(name="a.png", mask=mask, joints=joints, visible=np.ones(23, bool), joints_3d=joints_3d)
    save_image(tmp_path / "a.png", np.zeros((128, 64, 3), np.uint8))
    monkeypatch.setattr(bodies, "iter_truth", lambda folder: iter([one]))
    found = joints[: len(JOINTS)].copy()
    found[:8, 0] += 4.9
    found[8:, 0] += 5.1
    backend = SimpleNamespace(
        pose=lambda picture: SimpleNamespace(xy=found, xyz=joints_3d[: len(JOINTS)] + np.array([0.3, 0, 0.4])),
        parse=lambda picture: SimpleNamespace(labels=mask),
    )
    right, off, parsed = bodies.rendered_figures(backend, tmp_path).values()
    assert right == pytest.approx(100 * 8 / 17)
    assert off == pytest.approx(500)
    assert parsed == pytest.approx(100)


def test_skin_is_skin_wherever_it_is(monkeypatch, tmp_path):
    labels = np.zeros((20, 20), np.uint8)
    labels[:10] = 2  # skin
    labels[10:12] = 255
    monkeypatch.setattr(bodies, "_held_out", lambda root: iter([(np.zeros((20, 20, 3), np.uint8), labels)]))
    said = np.zeros((20, 20), np.uint8)
    said[:5], said[5:10] = LABELS.index("face"), LABELS.index("leg")
    said[10:12] = LABELS.index("bag")  # where nothing is known
    figures = bodies.ccp_figures(SimpleNamespace(parse=lambda picture: SimpleNamespace(labels=said)), tmp_path)
    assert figures["IoU of skin"] == pytest.approx(100)
    assert figures["IoU of background"] == pytest.approx(100)
    assert figures["parsing, mIoU"] == pytest.approx(100)
