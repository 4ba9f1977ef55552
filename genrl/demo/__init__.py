"""The main job from one end to the other, on an embedded default."""
