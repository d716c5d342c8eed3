"""Programs that are measured as whole processes: each reads `{"events": […]}` from stdin and answers each of them."""
