"""Instruction-response generation; so far `review`, where people correct what was generated."""
