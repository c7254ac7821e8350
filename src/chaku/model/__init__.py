"""The decoder: configuration, rotary embedding, Llama, LoRA, quantisation."""
