"""Synthesise trajectories with generative models for offline reinforcement learning."""
