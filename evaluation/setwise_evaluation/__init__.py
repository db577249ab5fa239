"""Quality measures and the composed scenes they are taken on."""
