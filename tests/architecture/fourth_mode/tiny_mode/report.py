from matplotlib.figure import Figure

from detectorist.modes.quality import Check, Column
from detectorist.modes.section import Panel, Section


class TinySection(Section):
    title = "Tiny text files"
    columns = (Column("length", "length", "byte", "How long the text is", "d"),)
    checks = (Check("length", "{value:.0f} bytes are many (up to {high:g} is usual)", high=10),)

    def panels(self, exposure, *, brief=False):
        yield Panel("tiny_length", "Length of the text", Figure)
