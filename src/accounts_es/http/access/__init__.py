"""The access service: who may do what with what applications put under protection. Ours, beyond Appwrite's."""
