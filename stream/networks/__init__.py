"""Networks as lists of layers, and as the ONNX files that every process runs."""
