"""Texts for :mod:`tests.data.unseen_company`: defects by kind, and look-alikes that are no defects."""

LOOKALIKES = (
    "order 4471-2024-118", "invoice 2026/0044/17", "part 415-2671-00", "box 120 x 80 x 45 mm",
    "logged 2026-03-14 15:09:26", "price 1 299 000.00 SEK", "price 12,499.95 EUR", "ISBN 978-3-16-148410-0",
    "at 48.8566, 2.3522", "EAN 4006381333931", "due 03/14/2026", "version 10.15.7", "epoch 1718000000",
    "parcel 00340434161094021501", "tracking 1Z999AA10123456784", "range 100-200-300 km", "ratio 16:9:4",
    "score 10-12-8", "VAT ID DE123456789", "bank code BIC DEUTDEFF500", "stock key AB12 CD34 EF56",
    "release 3.11.0.2", "section 4.2.1.3 of the manual", "driver v1.2.3.4", "MAC 3c:22:fb:91:0a:7e", "clock 12:30:45",
    "std::vector<int> is fine", "List<String> names", "if a < b and c > d", "write <your name> here", "R&D and Q&A",
    "AT&T line", "arrow -> there", "x <= 4", "mention @workshop", "package left-pad@1.3.0", "3 @ 5.00 each",
    "the password is required", "the token is expired", "forgot my password: sorry",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "uuid 123e4567-e89b-12d3-a456-426614174000",
    "risk-management-for-beginners", "scikit-learn-extra-tools", "São Paulo", "Ångström and naïve", "½ of 10 µm",
    "GARANTÃO or SÃO JOÃO", "Œuvre d’art", "Crème brûlée – 4 €", "meet at noon, look at it", "room 0301 2234",
    "size 28-622 or 700x38C", "batch 20260314-00017", "sensor 4-20 mA, 0-10 V", "torque 5.5-6.0 Nm",
    "serial 30291-77120-4456", "4111 1111 1111 1112 is printed on the sample", "pin 1234 5678 9012 3456 is a dummy",
    "DE88 3704 0044 0532 0130 00 is the wrong example", "account 9000 1234 5678 9010 1234", "hex 0xDEADBEEF",
    "10.5.2026", "grid 10 20 30 40 50 60", "lap times 1:02.3, 1:03.4 and 1:04.5", "Room B 2.14.1", "ETRTO 37-622",
    "18.00-20.30 hrs", "from 1998 to 2003", "coordinates 59.91 10.75", "GS1 (01)04012345678901",
    "IMEI 490154203237518", "10 000 000 rows",
)  # fmt: skip

MARKUP = (
    "<table><tr><th>Item</th><td>{}</td></tr></table>",
    "<TABLE BORDER=0><TR><TD>{}</TD></TR></TABLE>",
    "<ul>\n <li>{}</li>\n <li>always</li>\n</ul>",
    "{}<br>ask again<BR/>later",
    '<a href="https://shop.example.org/x?a=1&amp;b=2" title="a > b">{}</a>',
    "<script type='text/javascript'>var x = '<b>';</script>{}",
    "<style>p {{ color: red }}</style><p class=MsoNormal>{}<o:p></o:p></p>",
    "<!-- draft --> {} <!-- end -->",
    "{}&nbsp;&ndash;&nbsp;sure&hellip; &quot;yes&quot;",
    "It&rsquo;s so: {} &#8212; and &#x201C;more&#x201D;",
    "Caf&eacute; and na&iuml;ve: {}",
    '<span style="font-family:Arial;font-size:10pt">{}</span>',
    "<blockquote><p>{}</p></blockquote>",
    "<div><div><h3>Note</h3>{}</div></div>",
    "&lt;p&gt;{}&lt;/p&gt;",
    '<img src="cid:a1" alt=""><font color=\'#333\'>{}</font>',
    "<details><summary>{}</summary>inside</details>",
    "<p>{}\n<p>no end tag",
    "<![CDATA[ {} ]]>",
    "<figure><figcaption>{}</figcaption></figure>",
)

EMPTY = (
    "", "  ", "-", "--", "N/A", "n.a.", "...", "TBD", "tbc", "(none)", "[empty]", "NULL", "no answer", "?",
    "not available",
)  # fmt: skip

CUT = (
    "Loosen both bolts of holder {} and then", "Turn the knob {} to the left until the",
    "First remove clip {}, then the", "It is held by screw {}, washer", "Use grease {} on the thread because",
    "Put ring {} onto the shaft (the flat side", "The set {} contains one spanner, two",
    "You can order {} in three colours: black,", "Fix rail {} with the four bolts which",
    "Hold frame {} upright while you", "The manual of {} says \"never open",
    "Push lever {} down and pull the cable thr", "Please make sure that the wheel {} is",
    "We recommend for {} that you do not", "Plate {} is fastened to...", "After that, bring {} into the posit",
)  # fmt: skip

WHOLE = (
    "Use a dry cloth, twice for {}", "{} ml of water", "Rinse, dry, oil: that is all for {}.", "Every {} km", "Yes",
    "Call the branch and name lot {}.", "Not at all; {} has a coating.", "Part no. {}-A", "See page {} (chapter 4).",
    "Wipe it down.\n1. water\n2. soap\n3. towel {}", "https://shop.example.org/lot/{}",
    "It says \"hand wash\" on tag {}.",
)  # fmt: skip

FOREIGN = (
    ("Wann kommt die Lieferung mit dem neuen Rad an?", "Sie kommt am Freitag gegen Mittag im Laden an, Nummer"),
    ("Pourquoi mon vélo fait-il du bruit en roulant ?", "La chaîne est trop sèche, il faut la graisser avant"),
    ("¿Puedo devolver la bicicleta si no me gusta?", "Sí, tiene treinta días para devolverla en la tienda"),
    ("Quanto costa la riparazione del freno davanti?", "Costa trenta euro e ci vogliono due giorni, pratica"),
    ("Posso mudar o plano do meu site sem custos?", "Pode, uma vez por ano e sem custos adicionais, pedido"),
    ("Kan ik mijn fiets morgen al komen ophalen?", "Ja, vanaf tien uur staat hij voor u klaar, bon"),
    ("Ile kosztuje wymiana łańcucha w tym rowerze?", "Wymiana kosztuje sto złotych i trwa godzinę, numer"),
    ("Hur länge gäller garantin på den här cykeln?", "Garantin gäller i fem år från köpdagen, ärende"),
    ("Сколько стоит замена цепи на этом велосипеде?", "Замена стоит две тысячи рублей, заказ"),
    ("这辆自行车的保修期是多长时间，可以延长吗？", "保修期是两年，可以在我们店里付费延长，编号"),
    ("この自転車の保証期間はどのくらいですか？", "保証期間は二年間で、店舗で延長できます。番号"),
    ("Bu bisikletin zincirini ne zaman değiştirmeliyim?", "Zinciri her üç bin kilometrede bir değiştirin, kayıt"),
    ("Πόσο κοστίζει η επισκευή του φρένου;", "Η επισκευή κοστίζει τριάντα ευρώ, αριθμός"),
    ("Jak dlouho platí záruka na toto kolo a rám?", "Záruka platí pět let od data nákupu, číslo"),
)  # fmt: skip

BOILERPLATE_ONLY = (
    "Thanks for reaching out! One of our colleagues will get back to you shortly.",
    "Your message has reached us and is being looked at.",
    "We have received your enquiry. You will hear from us within two working days.",
    "Thank you for your patience while we work on this.",
    "This is an automatic reply. Please do not respond to this e-mail.",
    "I am out of the office until Monday and will answer when I return.",
    "Please visit our help center for further assistance.",
    "Your case has been escalated to the next level.",
    "We appreciate your feedback and apologise for any inconvenience.",
    "A specialist will contact you soon. Have a nice day!",
    "Dear customer, we are looking into your issue. Kind regards, the team",
    "Let us know if you need anything else.",
)

BOILERPLATE_AROUND = (
    "Hi Sam,\n\n{}\n\nBest wishes,\nThe Wren Team",
    "Dear Ms Lund,\n{}\nYours sincerely,\nP. Adler",
    "Good afternoon! {} Thank you for choosing us.",
    "Hello and thanks for your message. {} Have a great weekend!",
    "{}\n\n--\nJo Park | Wren Cycles | Harbour Road 4",
    "{}\n\nSent from my phone",
    "Greetings, {} Many thanks, Ana",
    "Thank you for contacting Wren Cycles. {}",
    "{} Please let us know if you have any further questions.",
    "{} Do not hesitate to contact us again.",
    "Hey Jo, {} Cheers, Mia",
    "{}\n\nWarm regards\nSupport Desk",
)
