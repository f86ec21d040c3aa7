"""How a model holds on sound that was changed on its way, and on sound that is none of its genres."""
