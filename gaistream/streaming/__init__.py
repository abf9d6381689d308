"""The life of one stream and of many, on an abstract connection."""
