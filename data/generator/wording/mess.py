"""What people write around a question: openings with accents, personal data, logs and rambling."""

ACCENTED_OPENINGS = (
    "It’s urgent –",
    "I’m at the café again.",
    "Grüße aus Köln!",
    "Señor Núñez asks:",
    "For our Düsseldorf site:",
    "We’re in Malmö…",
    "Zoë from Besançon here.",
    "A naïve ‘quick one’:",
    "Here’s André.",
    "Our São Paulo team asks:",
    "I couldn’t find it –",
    "Jürgen wants to know:",
    "Thanks, that’s clear. Next:",
    "Françoise forwarded this:",
    "At 20 °C everything’s fine.",
    "À propos —",
)
FIRST_NAMES = (
    "Ada",
    "Bruno",
    "Carla",
    "Dario",
    "Elin",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kim",
    "Lena",
    "Marco",
    "Nadia",
    "Otto",
    "Petra",
    "Ruben",
    "Sofia",
    "Tom",
    "Vera",
)
LAST_NAMES = (
    "Abel",
    "Brandt",
    "Costa",
    "Dufour",
    "Ekman",
    "Fischer",
    "Garcia",
    "Holt",
    "Ivers",
    "Jansen",
    "Keller",
    "Lopez",
    "Marsh",
    "Nyberg",
    "Olsen",
    "Pratt",
    "Quist",
    "Rossi",
    "Stone",
    "Weber",
)
EMAIL_PHRASES = (
    "You can write to {v}.",
    "My address is {v}.",
    "Please answer to {v}.",
    "Copy {v} on your reply.",
    "(from {v})",
    "Contact: {v}",
    "Send it to {v}, thanks.",
    "I am {v}.",
)
PHONE_PHRASES = (
    "Call me on {v}.",
    "My number is {v}.",
    "You reach me at {v}.",
    "Phone: {v}",
    "Ring {v} if unclear.",
    "(mobile {v})",
    "I wait for a call on {v}.",
    "Our site phone is {v}.",
)
CARD_PHRASES = (
    "My card is {v}.",
    "I paid with card {v}.",
    "Charge it to {v}.",
    "Card number {v}.",
    "The payment came from {v}.",
    "Please use my card {v} again.",
)
IBAN_PHRASES = (
    "Refund to {v}.",
    "Our account is {v}.",
    "IBAN: {v}",
    "Please pay back to {v}.",
    "The money goes to {v}.",
    "We paid from {v}.",
)
IP_PHRASES = (
    "The gateway is at {v}.",
    "Its address is {v}.",
    "I log in from {v}.",
    "Server: {v}",
    "We see it under {v}.",
    "(host {v})",
)
# Sound text that a careless detector takes for a defect of the kind that is its key; {a} has four digits, {b} two,
# {c} the sixteen of a card but a wrong check digit.
DECOYS: dict[str, tuple[str, ...]] = {
    "mojibake": ("It’s me again:", "Grüße aus Malmö!", "Our café asks:", "Señora Peña wants to know:", "At 40 °C –"),
    "html": ("The value is < {b} and rising.", "If x > {b} then what?", "Tom & Ada ask:", "We use R&D settings."),
    "card": ("Serial number {c}.", "The batch is {c}.", "Order {a}{b}."),
    "phone": ("Ticket {a}{b}.", "Room {b}, shelf {b}.", "Invoice 2024-{a}.", "We bought {a} of them in 2023."),
    "email": ("@night shift:", "Line 3 @ {b} Hz.", "We meet @ the plant."),
    "ip": ("Version {b}.4.1 is installed.", "See chapter 4.{b}.", "At {b}.5 bar:"),
}
# Each is cut somewhere in its second half.
BROKEN_SENTENCES = (
    "Thank you for asking. As far as I can see in our documents, the answer to your question is that",
    "I have looked it up in the data sheet for you, and according to the table on the second page the",
    "My colleague from the laboratory has just confirmed to me that with the current series it is always",
    "According to the manual, which you also find in the box next to the instrument, you will have to",
    "We had the same question last week, and after a longer discussion in the team we agreed that the",
    "If you take the new model, which has been on sale since spring, then you should know that its",
    "The short answer would be yes, but please keep in mind that for the larger version there is a",
    "As promised on the phone I asked our service department about this, and they told me that every",
)
BLANK_ANSWERS = ("", "", " ", "-", "n/a", "N/A", "...", "?", "TODO", "tbd", "\n", "--")
LOG_LINES = (
    "line {a}: sensor started after {b} ms",
    "line {a}: packet {b} sent to the gateway",
    "line {a}: checksum {b} ok",
    "line {a}: retry number {b}",
    "line {a}: buffer at {b} bytes",
    "line {a}: heartbeat {b}",
    "line {a}: user opened the menu {b} times",
    "line {a}: clock moved by {b} ms",
)
RAMBLING = (
    "Well, I went down to shelf {a} and there were {b} boxes in the way.",
    "My colleague, who has been here for {a} years, remembers {b} similar cases.",
    "On the other hand one could argue for hours about this.",
    "As I wrote in message {b}, nobody had an umbrella that day.",
    "Then the telephone rang {a} times and I lost my thread.",
    "Before that we had visited {a} customers and eaten {b} biscuits.",
    "Let me explain the whole history of the matter from the start.",
    "It reminds me of the summer when the lift stopped at floor {a}.",
    "Where was I, yes, the drawer with the {b} keys.",
)

# Questions and answers of other-language customers about products; {s} product, {n} a number.
FOREIGN_PATTERNS: dict[str, tuple[tuple[str, str], ...]] = {
    "de": (
        (
            "Wie schwer ist das Gerät {s} und wo kann ich es kaufen?",
            "Das Gerät {s} wiegt ungefähr {n} Gramm und ist bei jedem Händler erhältlich.",
        ),
        (
            "Ich habe gestern ein {s} bestellt. Wann wird es geliefert?",
            "Ihre Bestellung wird voraussichtlich in {n} Tagen bei Ihnen ankommen.",
        ),
        (
            "Warum blinkt die Anzeige am {s} ständig rot, obwohl alles angeschlossen ist?",
            "Bitte prüfen Sie zuerst das Kabel und starten Sie das Gerät danach neu.",
        ),
        (
            "Welche Farbe hat das Gehäuse von dem {s} in der neuen Ausführung?",
            "Das neue Gehäuse ist seit diesem Jahr in einem dunklen Grau gehalten.",
        ),
        (
            "Können wir das {s} auch im Winter draußen benutzen?",
            "Ja, das ist möglich, solange die Temperatur nicht unter {n} Grad fällt.",
        ),
    ),
    "fr": (
        (
            "Quel est le poids de l'appareil {s} et où puis-je l'acheter ?",
            "L'appareil {s} pèse environ {n} grammes et se trouve chez tous nos revendeurs.",
        ),
        (
            "J'ai commandé un {s} hier. Quand sera-t-il livré chez moi ?",
            "Votre commande devrait arriver chez vous dans {n} jours environ.",
        ),
        (
            "Pourquoi le voyant du {s} clignote-t-il toujours en rouge ?",
            "Vérifiez d'abord le câble, puis redémarrez l'appareil s'il vous plaît.",
        ),
        (
            "De quelle couleur est le boîtier du nouveau {s} ?",
            "Depuis cette année, le nouveau boîtier est de couleur gris foncé.",
        ),
        (
            "Est-ce que nous pouvons utiliser le {s} dehors pendant l'hiver ?",
            "Oui, c'est possible tant que la température reste au-dessus de {n} degrés.",
        ),
    ),
    "es": (
        (
            "¿Cuánto pesa el aparato {s} y dónde puedo comprarlo?",
            "El aparato {s} pesa unos {n} gramos y se vende en todas nuestras tiendas.",
        ),
        (
            "Ayer pedí un {s} por teléfono. ¿Cuándo me lo van a entregar?",
            "Su pedido debería llegar a su casa dentro de unos {n} días.",
        ),
        (
            "¿Por qué parpadea siempre en rojo la luz del {s}?",
            "Primero revise el cable y después vuelva a encender el aparato, por favor.",
        ),
        (
            "¿De qué color es la caja del nuevo {s} que vimos en la feria?",
            "Desde este año la nueva caja es de un color gris oscuro.",
        ),
        (
            "¿Podemos usar el {s} al aire libre durante el invierno?",
            "Sí, es posible mientras la temperatura no baje de los {n} grados.",
        ),
    ),
}
