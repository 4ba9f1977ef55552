"""What methods and learners share: fitting, batches, checkpoints."""
