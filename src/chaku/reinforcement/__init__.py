"""Reinforcement learning by execution: tasks to samples, samples to rewards, rewards to batches."""
