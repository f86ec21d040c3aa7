"""Networks: the backbone, the heads, their configuration, the layer table and the ONNX export. Needs ``[train]``."""
