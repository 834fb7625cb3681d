from recordings import trace

__all__ = ["trace"]
