"""What all results are shown with: Markdown, pictures, pages."""
