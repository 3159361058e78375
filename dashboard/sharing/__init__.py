"""What leaves the laboratory: links, pictures, code and pages that work without a server."""
