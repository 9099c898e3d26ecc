"""Property tests are about values, not speed: a busy machine must not fail them."""

from hypothesis import settings

settings.register_profile("partyline", deadline=None)
settings.load_profile("partyline")
