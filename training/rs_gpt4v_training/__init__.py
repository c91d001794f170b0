"""Fine-tuning and training by rewards with TRL, straight from the conversation rows."""
