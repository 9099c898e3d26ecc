"""What all tests share."""

from hypothesis import settings

# Property tests are about values, not speed: a busy machine must not fail them.
settings.register_profile("partyline", deadline=None)
# What decides whether a change lands must not find by chance what the change has no part in.
settings.register_profile("ci", settings.get_profile("partyline"), derandomize=True, database=None)
settings.load_profile("partyline")
