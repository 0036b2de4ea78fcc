"""Networks on their way out of torch: ONNX files, and what is quantised from them."""
