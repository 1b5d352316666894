"""DPSNet, dual-path sparse scene parsing: a sparse local path and a context path see one picture and meet in a head."""

from models.dpsnet.network import AuxiliaryHeads, DPSNet, DPSNetConfig, LocalPath
from models.dpsnet.sparse import Rulebook, Sites, SparseConv2d, active_sites

__all__ = ["AuxiliaryHeads", "DPSNet", "DPSNetConfig", "LocalPath", "Rulebook", "Sites", "SparseConv2d", "active_sites"]
