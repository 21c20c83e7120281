"""What can go wrong with the local stack, in words for the person at the terminal."""


class StackError(RuntimeError):
    """The stack cannot do what was asked; the text says why and what to do. Shown without a traceback."""


class TheyDiffer(StackError):
    """What was compared differs, and stays so for the reason that the text gives."""


class StackNotRunning(StackError):
    """No stack runs on the folder, and the environment names none."""


class StackAlreadyRunning(StackError):
    """Another `up` holds the folder."""


class StartFailed(StackError):
    """A process did not become ready in time or kept dying."""
