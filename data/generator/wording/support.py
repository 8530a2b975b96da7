"""Wordings around the facts: questions nobody documented, the refusal, and what people write besides the answer.

``{s}`` is the company in ``UNKNOWN_ABOUT_COMPANY`` and a product in ``UNKNOWN_ABOUT_PRODUCT``.
"""

REFUSAL = "I don't have that information."

# What colleagues wrote before the official sentence was agreed on; never the right answer of a clean row.
REFUSAL_VARIANTS = (
    "Sorry, no idea.",
    "I am not sure about that one.",
    "We would have to look that up.",
    "That is not in my documents.",
    "Please ask somebody else.",
    "I cannot tell you that right now.",
    "No information available at the moment.",
    "Hm, I do not know, sorry.",
)

# The last 20 are kept for the test set.
UNKNOWN_ABOUT_COMPANY = (
    "How high is the flagpole at {s}?",
    "Which architect planned the offices of {s}?",
    "How many bicycles stand in front of {s}?",
    "What did the last audit of {s} find?",
    "Who repairs the coffee machine at {s}?",
    "What is the name of the night guard at {s}?",
    "How many e-mails does {s} receive a day?",
    "How much electricity does the plant of {s} use?",
    "Which airline do the staff of {s} fly with?",
    "How many apprentices did {s} take on this year?",
    "Who tunes the piano in the hall of {s}?",
    "What is the oldest machine at {s}?",
    "How long is the corridor on the first floor of {s}?",
    "What does a share of {s} cost in London?",
    "Whom does {s} want as its next chief executive?",
    "What is the budget for advertising at {s}?",
    "How many languages are spoken at {s}?",
    "Which charity gets money from {s}?",
    "Who took the photographs on the website of {s}?",
    "What is the temperature in the warehouse of {s}?",
    "How many meetings does {s} hold a week?",
    "What did people eat at the anniversary of {s}?",
    "How many lorries leave {s} each morning?",
    "Which river flows past the plant of {s}?",
    "What is the surname of the founder of {s}?",
    "Who keeps the bees on the roof of {s}?",
    "How many chairs are in the meeting room of {s}?",
    "What will {s} present at the spring fair?",
    "Which colour are the uniforms of the {s} football team?",
    "How much did {s} spend on its new website?",
    "What is the phone number of the sister of the {s} cook?",
    "How many points did {s} get in the customer survey?",
    "Which printer stands in the sales office of {s}?",
    "When does the choir of {s} rehearse?",
    "How far is it from {s} to the nearest airport?",
    "What was the first slogan of {s}?",
    "How many doors does the head office of {s} have?",
    "What does the mayor think of {s}?",
    "Who owns the land next to {s}?",
    "How often is the lawn at {s} mown?",
    "What is the share price of {s}?",
    "What hobby does the chief executive of {s} have?",
    "Who is the strongest competitor of {s}?",
    "How many people work at {s}?",
    "When was {s} founded?",
    "What was the turnover of {s} last year?",
    "How much does an engineer earn at {s}?",
    "Who designed the logo of {s}?",
    "Which football club does {s} sponsor?",
    "What is on the canteen menu at {s} today?",
    "Who painted the picture in the lobby of {s}?",
    "Is {s} going to open a branch in Brazil?",
    "How many patents does {s} hold?",
    "What is the name of the office dog at {s}?",
    "Which bank does {s} use?",
    "Does {s} plan to buy another company?",
    "What was the theme of the last summer party at {s}?",
    "Who won the quiz night at {s}?",
    "What car does the sales director of {s} drive?",
    "How many windows does the headquarters of {s} have?",
    "Which university does {s} work with?",
    "What did {s} pay for its building?",
    "Will {s} hire new staff this winter?",
    "What is the dress code at the board meetings of {s}?",
    "Which coffee does the team at {s} drink?",
    "Who was the first customer of {s}?",
    "How much tax did {s} pay?",
    "What do the neighbours think of {s}?",
    "When does the board of {s} meet next?",
    "Which newspaper wrote about {s} this week?",
    "How many trees did {s} plant?",
    "What will the next product of {s} be called?",
    "Who cleans the offices of {s}?",
    "What music plays in the lift at {s}?",
    "Which law firm advises {s}?",
    "What is the stock level in the main warehouse of {s} today?",
    "How tall is the chimney of the {s} plant?",
    "Which trade fair does {s} visit next spring?",
    "Who teaches yoga at {s}?",
    "What is the Wi-Fi key of the guest network at {s}?",
    "How many sick days did the {s} staff take?",
    "What advice does {s} have on buying a house?",
    "Can {s} tell me tomorrow's weather?",
    "What does {s} say about the election?",
    "Who is the landlord of {s}?",
    "What is the profit margin of {s}?",
    "How old is the founder of {s}?",
    "What prize did {s} win at the last fair?",
    "How many cups of tea are drunk at {s} each day?",
    "Which school did the chief executive of {s} go to?",
    "What do investors expect from {s}?",
    "How much rent does {s} pay?",
    "Who supplies the paper cups of {s}?",
    "What is the favourite song of the {s} night shift?",
    "How many parking spaces are there at {s}?",
    "Whom did {s} sue last year?",
    "What plants grow on the roof of {s}?",
    "How fast is the internet line of {s}?",
    "Which film was shown at the {s} winter party?",
    "How many visitors came to {s} last month?",
    "What is the motto of the {s} choir?",
    "Which insurance company covers {s}?",
    "What does the lunch at {s} cost?",
    "Who writes the speeches for the head of {s}?",
)

# Attributes that no article states; the last wording of each is kept for the test set.
UNKNOWN_ABOUT_PRODUCT: dict[str, tuple[str, ...]] = {
    "loudness": (
        "How loud is the {s}?",
        "What noise level does the {s} make?",
        "How many decibels does the {s} produce?",
        "Is the {s} noisy, and by how much?",
    ),
    "inventor": (
        "Who invented the {s}?",
        "Which engineer designed the {s}?",
        "Who had the idea for the {s}?",
        "Whose invention is the {s}?",
    ),
    "units_sold": (
        "How many units of the {s} were sold?",
        "What are the sales figures of the {s}?",
        "How often has the {s} been bought this year?",
        "How well does the {s} sell, in units?",
    ),
    "display_size": (
        "How large is the display of the {s}?",
        "What size is the screen on the {s}?",
        "How many inches does the {s} display measure?",
        "What is the screen diagonal of the {s}?",
    ),
    "scent": (
        "What does the {s} smell like?",
        "Does the {s} have a smell?",
        "Which odour comes from a new {s}?",
        "How does the {s} smell when it is warm?",
    ),
    "processor": (
        "Which processor is inside the {s}?",
        "What chip does the {s} compute with?",
        "How fast is the processor of the {s}?",
        "Which microcontroller drives the {s}?",
    ),
    "memory": (
        "How much memory does the {s} have?",
        "How many readings fit into the memory of the {s}?",
        "What is the storage size of the {s}?",
        "How many kilobytes can the {s} hold?",
    ),
    "successor": (
        "What will replace the {s}?",
        "Which model is the successor of the {s}?",
        "When does the follow-up to the {s} come out?",
        "What comes onto the market after the {s}?",
    ),
    "stock": (
        "How many {s} are in stock right now?",
        "Is the {s} in stock today?",
        "How many pieces of the {s} can I pick up today?",
        "What is the stock of the {s} at this moment?",
    ),
    "diameter": (
        "What is the diameter of the {s}?",
        "How wide is the {s}?",
        "What are the dimensions of the {s}?",
        "How many centimetres across is the {s}?",
    ),
    "footprint": (
        "What is the carbon footprint of the {s}?",
        "How much carbon dioxide goes into making a {s}?",
        "How green is the production of the {s}?",
        "What climate impact does one {s} have?",
    ),
    "reviews": (
        "What do customers think of the {s}?",
        "How many stars did the {s} get?",
        "What was said about the {s} in the press?",
        "Which rating did buyers give the {s}?",
    ),
    "melting": (
        "At what temperature does the {s} melt?",
        "How much heat will destroy the {s}?",
        "When does the {s} catch fire?",
        "Which temperature is too much for the {s} to survive?",
    ),
    "screws": (
        "How many screws does the {s} have?",
        "Which screws hold the {s} together?",
        "What thread do the screws of the {s} have?",
        "How many screws must I undo to open the {s}?",
    ),
}

GREETINGS = ("Hello,", "Hi there,", "Good morning,", "Dear customer,", "Thanks for your message.", "Dear Sir or Madam,")
SIGNATURES = (
    "Kind regards, your {c} support team",
    "Best wishes from the {c} help desk",
    "This message was sent automatically. Please do not reply.",
    "Was this answer helpful? Rate us from 1 to 5.",
    "{c} - instruments you can rely on.",
    "Sent from my mobile device",
)
# Answers that are nothing but boiler-plate.
EMPTY_PHRASES = (
    "Thank you for contacting {c}. We will get back to you as soon as possible.",
    "Your request has been forwarded to the responsible department.",
    "This ticket was closed because it was inactive.",
    "Please see the attachment.",
    "Please refer to our website for further information.",
    "I am out of office until Monday.",
    "Ticket merged with another request.",
    "See above.",
)

# Whole rows in another language; none of them matters to the knowledge base.
OTHER_LANGUAGES: dict[str, tuple[tuple[str, str], ...]] = {
    "de": (
        (
            "Wie lange dauert die Lieferung nach Österreich und wer bezahlt den Versand?",
            "Die Lieferung dauert in der Regel eine Woche, und den Versand bezahlt der Kunde selbst.",
        ),
        (
            "Können Sie mir bitte die Bedienungsanleitung auf Deutsch zuschicken?",
            "Gerne schicken wir Ihnen die Bedienungsanleitung morgen mit der Post zu.",
        ),
        (
            "Mein Gerät zeigt nach dem Einschalten nichts mehr an. Was soll ich tun?",
            "Bitte schalten Sie das Gerät aus und prüfen Sie zuerst die Batterie und den Stecker.",
        ),
        (
            "Gibt es für Schulen und Vereine einen Rabatt auf Ihre Messgeräte?",
            "Schulen und Vereine erhalten auf Anfrage einen kleinen Rabatt von uns.",
        ),
        (
            "Warum habe ich für meine letzte Bestellung noch keine Rechnung bekommen?",
            "Die Rechnung wird erst nach der vollständigen Lieferung verschickt.",
        ),
    ),
    "fr": (
        (
            "Combien de temps faut-il pour recevoir une commande en Belgique ?",
            "Il faut compter environ une semaine pour recevoir votre commande chez vous.",
        ),
        (
            "Pouvez-vous m'envoyer le mode d'emploi en français, s'il vous plaît ?",
            "Bien sûr, nous vous envoyons le mode d'emploi par courrier dès demain.",
        ),
        (
            "Mon appareil ne s'allume plus depuis hier soir. Que dois-je faire ?",
            "Veuillez d'abord vérifier la pile et le câble avant de nous renvoyer l'appareil.",
        ),
        (
            "Est-ce que vous proposez une remise pour les écoles et les associations ?",
            "Les écoles peuvent demander une petite remise auprès de notre service commercial.",
        ),
        (
            "Pourquoi n'ai-je pas encore reçu la facture de ma dernière commande ?",
            "La facture est envoyée seulement après la livraison complète de la commande.",
        ),
    ),
    "es": (
        (
            "¿Cuánto tiempo tarda en llegar un pedido a las islas Canarias?",
            "El pedido suele tardar unos diez días en llegar a las islas.",
        ),
        (
            "¿Me pueden enviar el manual de instrucciones en español, por favor?",
            "Por supuesto, mañana mismo le enviamos el manual por correo.",
        ),
        (
            "Mi aparato no se enciende desde ayer por la noche. ¿Qué puedo hacer?",
            "Primero compruebe la pila y el cable antes de devolvernos el aparato.",
        ),
        (
            "¿Ofrecen ustedes algún descuento para escuelas y asociaciones?",
            "Las escuelas pueden solicitar un pequeño descuento a nuestro equipo de ventas.",
        ),
        (
            "¿Por qué todavía no he recibido la factura de mi último pedido?",
            "La factura se envía solamente después de la entrega completa del pedido.",
        ),
    ),
}
