"""Fine-tuning with TRL's SFTTrainer, straight from the conversation rows."""
