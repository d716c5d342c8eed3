"""Programs that are measured as whole processes: each reads `{"events": […]}` from stdin and handles each of them."""
