"""Encoders: trained in PyTorch, kept as files, run on ONNX Runtime."""
