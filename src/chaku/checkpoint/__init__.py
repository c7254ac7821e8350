"""Read and write checkpoints. A checkpoint is a Hugging Face model directory."""
