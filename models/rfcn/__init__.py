"""R-FCN: a feature pyramid, region proposals and position-sensitive score maps."""

from models.rfcn.network import RFCN, Detections, Maps, RFCNConfig, select

__all__ = ["RFCN", "Detections", "Maps", "RFCNConfig", "select"]
