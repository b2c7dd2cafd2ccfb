// Carries the precompiled header include/moe/Precompiled.h.
