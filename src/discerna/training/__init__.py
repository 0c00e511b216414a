"""The only room that imports Lightning: data module, classifier, trainer."""
