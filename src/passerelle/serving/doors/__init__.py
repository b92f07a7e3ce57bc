"""Protocols of other servers, as thin translations before the batch path: off by default, on by the setting `doors`."""
