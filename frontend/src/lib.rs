//! Reads what BuildKit is about to run, finds the cache mounts that would collide, and mends them.
