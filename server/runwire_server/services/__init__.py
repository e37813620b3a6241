"""How a request is answered: one class per proto service, handlers of a few lines."""
