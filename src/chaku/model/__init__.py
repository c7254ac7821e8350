"""The decoder: configuration, rotary embedding, Llama, KV cache, LoRA, quantisation."""
