"""The Account service: what people do with their own account."""
