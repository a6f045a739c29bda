"""Classifiers of latents in PyTorch, and their ONNX files."""
