"""As harbor.agents.base, as far as an external agent sees it."""

import logging
import os


class BaseAgent:
    options_model = None

    def __init__(self, logs_dir, model_name=None, logger=None, mcp_servers=None, skills_dir=None, *, extra_env=None, **kwargs):
        self.logs_dir, self.model_name, self.logger = logs_dir, model_name, logger or logging.getLogger("harbor")
        self.extra_env = dict(extra_env or {})
        self.options = self.options_model.model_validate(kwargs)

    def _get_env(self, key):
        return self.extra_env.get(key, os.environ.get(key))
