"""Planted defects and sound look-alikes for the data-cleaning tool, written without sight of its detectors.

Templates use a small notation. ``⟦…⟧`` marks the piece that must go; ``{A36}`` stands for 36 random characters of a
class (see ``_CLASSES``), so no token stands here in the open; ``#`` is a digit of a phone number; ``§`` takes a made
value; ``{left/right}`` spells two variants of a line; `` | `` divides the fields of a row and `` ¦ `` the rows of a
line; ``\\n`` breaks a line.
"""

from __future__ import annotations

import base64
import csv
import html
import json
import random
import re
import string
from pathlib import Path
from typing import NamedTuple


class Plant(NamedTuple):
    """One planted defect, or a look-alike that is sound and must be left alone."""

    id: str
    kind: str
    text: str
    clean: str = ""
    of: str = ""
    sound: bool = False


class Planted(NamedTuple):
    """Training rows, the rows of a frozen test file, and what was planted among them."""

    train: list[dict]
    test: list[dict]
    plants: list[Plant]


def _table(text: str) -> list[tuple[str, ...]]:
    """The lines of a table, each a tuple of its fields."""
    rows = re.split(r"\n| ¦ ", text.strip("\n"))
    return [tuple(part.strip().replace("\\n", "\n") for part in re.split(r" \| ", row)) for row in rows]


# ---------------------------------------------------------------------------------------------------- secrets
TOKENS = [
    "AKIA{U16}",
    "ASIA{U16}",
    "AIza{S35}",
    "GOCSPX-{S28}",
    "ya29.a0{S120}",
    "dop_v1_{H64}",
    "ghp_{A36}",
    "gho_{A36}",
    "ghs_{A36}",
    "glpat-{S20}",
    "github_pat_{A22}_{A59}",
    "glrt-{S20}",
    "ATATT3x{S80}={U8}",
    "CCIPAT_{A22}_{H40}",
    "bkua_{H40}",
    "xoxb-{D12}-{D13}-{A24}",
    "xoxp-{D12}-{D12}-{D12}-{H32}",
    "xapp-1-A{U10}-{D13}-{H64}",
    "M{S23}.{S6}.{S38}",
    "{D10}:AA{S33}",
    "sk_live_{A24}",
    "rk_live_{A99}",
    "whsec_{A32}",
    "sq0csp-{S43}",
    "shpat_{H32}",
    "SG.{S22}.{S43}",
    "key-{H32}",
    "{H32}-us12",
    "SK{H32}",
    "npm_{A36}",
    "pypi-AgEIcHlwaS5vcmc{S150}",
    "rubygems_{H48}",
    "dckr_pat_{S27}",
    "oy2{L43}",
    "cio{A32}",
    "sk-{A20}T3BlbkFJ{A20}",
    "sk-proj-{S74}T3BlbkFJ{S74}",
    "sk-ant-api03-{S93}AA",
    "hf_{A34}",
    "gsk_{A52}",
    "r8_{A37}",
    "sk-or-v1-{H64}",
    "xai-{A80}",
    "dapi{H32}",
    "hvs.{S90}",
    "{A14}.atlasv1.{S60}",
    "pul-{H40}",
    "glsa_{A32}_{H8}",
    "NRAK-{U27}",
    "lin_api_{A40}",
    "ntn_{A46}",
    "figd_{S40}",
    "pat{A14}.{H64}",
    "PMAK-{H24}-{H34}",
    "dp.pt.{A43}",
    "sbp_{H40}",
    "HRKU-{N}",
    "nfp_{A40}",
]
TOKEN_LINES = _table(r"""
API_KEY=⟦§⟧ ¦ export SERVICE_TOKEN="⟦§⟧" ¦ {"api_key": "⟦§⟧", "timeout": 30} ¦ token: ⟦§⟧ ¦ - staging: ⟦§⟧ ¦ ⟦§⟧
curl -H "Authorization: Bearer ⟦§⟧" https://api.kestrel-optics.io/v1/items ¦ client = Client(api_key="⟦§⟧")
I used ⟦§⟧ as the key and it still answers 401. ¦ 2024-03-11 08:14:02 ERROR auth failed for key=⟦§⟧ (403)
Here is my key, please test with it: ⟦§⟧. ¦ const token = '⟦§⟧'; ¦ |prod|⟦§⟧|active|
<add key="ServiceToken" value="⟦§⟧" /> ¦ GET /v2/export?format=csv&access_token=⟦§⟧ HTTP/1.1
""")
SECRET_LINES = _table(r"""
aws_secret_access_key = ⟦{B40}⟧ ¦ Authorization: Bearer ⟦{J}⟧ ¦ Authorization: Basic ⟦{W}⟧
The session log had {"access_token": "⟦{J}⟧", "token_type": "Bearer", "expires_in": 3600} in it.
{"access_token": "⟦{S64}⟧", "refresh_token": null, "expires_in": 7200} ¦ AZURE_CLIENT_SECRET=⟦{A3}8Q~{S34}⟧
DefaultEndpointsProtocol=https;AccountName=orders;AccountKey=⟦{B86}==⟧;EndpointSuffix=core.windows.net
TWILIO_AUTH_TOKEN: "⟦{H32}⟧" ¦ DD_API_KEY=⟦{H32}⟧ datadog-agent run
curl -X POST -d '{"text": "done"}' https://hooks.slack.com/services/⟦T{U10}/B{U10}/{A24}⟧
WEBHOOK = "https://discord.com/api/webhooks/{D19}/⟦{S68}⟧" ¦ celery -b amqp://worker:⟦{P}⟧@rabbit:5672// status
DATABASE_URL=postgres://shop:⟦{P}⟧@db-3.internal:5432/orders ¦ redis://:⟦{P}⟧@cache.internal:6379/0
The worker could not reach mysql://reporting:⟦{P}⟧@10.0.4.17/stats and gave up.
mongodb+srv://crawler:⟦{P}⟧@cluster0.x{L4}.mongodb.net/?retryWrites=true
Server=tcp:sql01,1433;Database=Crm;User Id=sa;Password=⟦{P}⟧;Encrypt=True;
git clone https://deploy:⟦{P}⟧@git.harbour-lane.net/team/shop.git ¦ {"user": "svc_backup", "password": "⟦{P}⟧"}
curl -u admin:⟦{P}⟧ https://jenkins.harbour-lane.net/job/nightly/build ¦ spring.datasource.password=⟦{P}⟧
machine ftp.harbour-lane.net login upload password ⟦{P}⟧ ¦ [smtp]\nhost = "mail.harbour-lane.net"\npass = "⟦{P}⟧"
services:\n  db:\n    image: postgres:16\n    environment:\n      POSTGRES_PASSWORD: ⟦{P}⟧ ¦ wpa_passphrase=⟦{P}⟧
My login is jkowalski and my password is ⟦{P}⟧, can you look at it? ¦ User: frontdesk / Pw: ⟦{P}⟧ ¦ ⟦{K}⟧
$db = new PDO($dsn, 'wordpress', '⟦{P}⟧'); ¦ define('DB_PASSWORD', '⟦{P}⟧'); ¦ ⟦{G}⟧
<property name="hibernate.connection.password">⟦{P}⟧</property>
Somebody pasted the key into the ticket:\n⟦{K}⟧\nPlease rotate it.
{"type": "service_account", "private_key": "⟦{k}⟧", "client_id": "{D21}"}
""")
SECRET_SOUND = _table(r"""
The fix landed in commit ⟦{H40}⟧ last week. ¦ git cherry-pick ⟦{H7}⟧..⟦{H7}⟧ ¦ SHA-256 of the installer: ⟦{H64}⟧.
Request id ⟦{N}⟧ was logged by the gateway. ¦ MD5 (backup.tar) = ⟦{H32}⟧ ¦ "integrity": "sha512-⟦{B86}==⟧",
image: registry.example.com/web@sha256:⟦{H64}⟧ ¦ api_key: ⟦YOUR_API_KEY⟧ ¦ export TOKEN=⟦${API_KEY}⟧
Set the header to Authorization: Bearer ⟦<token>⟧ and retry. ¦ password = ⟦********⟧
OPENAI_API_KEY=⟦sk-xxxxxxxxxxxxxxxx⟧ ¦ Keys of that vendor start with ⟦sk_live_⟧, those of the sandbox with ⟦sk_test_⟧.
![dot](data:image/png;base64,⟦iVBORw0KGgo{B120}⟧) ¦ ⟦token: the smallest unit of text⟧ that a model reads.
⟦password: must have 8 characters⟧ and one digit. ¦ ⟦Password: at least one capital letter, no spaces.⟧
.btn-⟦primary-outline-large-rounded⟧ { color: #a1b2c3; background: #0f0f0f80; }
org.springframework.aop.framework.⟦AbstractSingletonProxyFactoryBeanConfigurer⟧ was not found.
api_key = ⟦os.environ["SERVICE_API_KEY"]⟧ ¦ password = ⟦getpass.getpass("Password: ")⟧ ¦ ⟦{C}⟧
db_password: ⟦"{{ vault_db_password }}"⟧ ¦ postgres://user:⟦<password>⟧@host:5432/dbname ¦ ETag: "⟦{H32}⟧"
const token = ⟦process.env.GITHUB_TOKEN⟧; ¦ ssh-ed25519 ⟦AAAAC3NzaC1lZDI1NTE5AAAAI{B43}⟧ laptop
Never put a secret key into the repository; ⟦a leaked token must be revoked at once⟧. ¦ oid sha256:⟦{H64}⟧\nsize 132735
{"max_tokens": ⟦4096⟧, "pad_token_id": 50256, "next_page_token": null} ¦ arn:aws:iam::⟦{D12}:role/ci-deploy-readonly⟧
transaction hash ⟦0x{H64}⟧ was confirmed after twelve blocks ¦ /nix/store/⟦{L32}-python3-3.11.7⟧/bin/python3
secretKeyRef:\n  name: ⟦postgres-credentials⟧\n  key: password ¦ tokenizer.eos_token = ⟦"</s>"⟧ ends every sample.
Forgotten your password? ⟦Click "Reset password" and follow the link in the letter.⟧
""")

# ------------------------------------------------------------------------------------- cards, accounts, addresses
CARDS = "4:16 4:16 4:13 4:19 51:16 55:16 2221:16 2720:16 34:15 37:15 6011:16 65:16 36:14 3528:16 3589:16 62:16 2200:16"
CARD_LINES = _table(r"""
Card number: ⟦§⟧, valid thru 09/27, CVV 318. ¦ My card ⟦§⟧ was declined twice today. ¦ ⟦§⟧ ¦ card;⟦§⟧;09/27;Leeds
{"pan": "⟦§⟧", "exp": "2027-09", "holder": "M KOWALSKA"} ¦ - Visa/Master: ⟦§⟧ (expires 11/26) ¦ |Ms Ortega|⟦§⟧|03/28|
2024-02-03T10:15:44Z WARN payment rejected pan=⟦§⟧ reason=51 ¦ Please charge ⟦§⟧ and send me the invoice.
customer.creditCard = '⟦§⟧'; ¦ The guest gave the hotel ⟦§⟧ over the phone. ¦ cc: ⟦§⟧\nname: R. Lindqvist
""")
CARD_SOUND = _table(r"""
Card number ⟦§⟧ was refused because its check digit is wrong. ¦ A mistyped card such as ⟦§⟧ fails at once. ¦ ISBN ⟦{E}⟧
Order no. ⟦{D16}⟧ has left the warehouse. ¦ Order ⟦7{D3}-{D4}-{D4}-{D4}⟧ was split in two. ¦ Tracking number: ⟦94{D18}⟧
1Z999AA1⟦{D10}⟧ is with the courier. ¦ The barcode (EAN) reads ⟦{E}⟧. ¦ created_at=⟦20240312142233{D2}⟧ ¦ IMEI: ⟦{I}⟧
{"ts": ⟦1709{D9}⟧, "level": "info"} ¦ time_ns = ⟦1709{D15}⟧ ¦ Dial *#06# to see the IMEI, for example ⟦{I}⟧.
x = ⟦0.4{D16}⟧ ¦ pi is about ⟦3.14159265358979324⟧ here. ¦ The card ends in ⟦**** **** **** 4417⟧.
Card on file: ⟦4417 XXXX XXXX {D4}⟧ ¦ |2021|2022|\n|⟦4517 4828 5091 {D4}⟧|-| ¦ serial: ⟦4{D15}⟧
Rainfall was ⟦4321 5210 3987 {D4}⟧ mm at the four stations. ¦ See arXiv:⟦2312.{D5}⟧ and arXiv:2401.{D5}.
status/⟦17{D17}⟧ was the first post about it. ¦ Invoice ⟦2024-{D4}-{D4}-{D4}⟧ is overdue.
Case ⟦5{D3} {D4} {D4} {D4}⟧ was closed on Monday. ¦ SSCC ⟦00{D18}⟧ is printed on the pallet.
Meter reading ⟦3{D14}⟧, device type 7. ¦ Part ⟦6011-{D4}-{D4}-{D4}⟧ replaces the older seal.
id=⟦65{D14}⟧ parent=⟦65{D14}⟧
""")
IBANS = """DE:18n GB:4a14n FR:10n11c2n ES:20n IT:1a10n12c NL:4a10n CH:5n12c AT:16n BE:12n PL:24n PT:21n SE:20n NO:11n
DK:14n FI:14n IE:4a14n CZ:20n GR:7n16c LU:3n13c TR:6n16c SA:2n18c AE:19n RO:4a16c HU:24n MT:4a5n18c HR:17n"""
IBAN_LINES = _table(r"""
IBAN: ⟦§⟧ ¦ Please refund the amount to ⟦§⟧ (account of K. Brandt). ¦ {"creditor": "Lindqvist AB", "iban": "⟦§⟧"} ¦ ⟦§⟧
My account is ⟦§⟧, BIC unknown. ¦ - rent, monthly, ⟦§⟧ ¦ 2024-01-15;SEPA;⟦§⟧;-450,00;EUR ¦ :25:⟦§⟧
Kontonummer / account no.: ⟦§⟧. ¦ iban=⟦§⟧&amount=120
""")
IBAN_SOUND = _table(r"""
The bank refused ⟦§⟧ since the check digits are wrong. ¦ IBAN (mistyped): ⟦§⟧ ¦ Somebody swapped two digits: ⟦§⟧.
{"iban": "⟦§⟧", "error": "checksum"} ¦ A German IBAN has the form ⟦DEkk bbbb bbbb cccc cccc cc⟧. ¦ device ⟦{N}⟧
It is shown as ⟦DE** **** **** **** **** 42⟧ on the receipt. ¦ VAT id ⟦DE{D9}⟧ stands on the invoice.
BIC/SWIFT ⟦COBADEFFXXX⟧ belongs to the branch. ¦ ISIN ⟦US{D9}0⟧ was delisted. ¦ Flight ⟦LH{D4}⟧ connects to ⟦LX{D4}⟧.
Part number ⟦SE12 4410 {D4} {D4}⟧ fits both pumps. ¦ Licence key ⟦GB7K-{U4}-{U4}-{U4}⟧ is a sample of the layout.
Container ⟦MSKU {D6} {D1}⟧ was unloaded in Gdynia. ¦ Chassis ⟦NL21{U13}⟧ was recalled. ¦ Patent ⟦EP{D7}B1⟧ has lapsed.
The parcel ⟦RR{D9}PL⟧ went by sea. ¦ Standard ⟦NO 42 2019 {D4}⟧ applies to the valves. ¦ model=⟦AT89C51RC2-SLSUM⟧
Locker ⟦FR-{D3}-{D3}-{D2}⟧ is free.
""")
FIRST = ["anna", "jonas", "priya", "mateo", "olga", "kwame", "yuki", "lea", "tomasz", "nadia"]
LAST = ["brandt", "kowalski", "iyer", "ortega", "petrova", "mensah", "tanaka", "moreau", "lind", "haddad"]
HOSTS = [
    "kestrel-optics.co.uk",
    "harbour-lane.net",
    "mail.stadtwerke-aue.de",
    "gmail.com",
    "outlook.com",
    "uni-torvik.no",
    "yahoo.co.jp",
    "students.westmere.edu",
    "blauwal.io",
    "posta.lumina.it",
    "proton.me",
    "orange.fr",
]
EMAILS = [
    "f.l@h",
    "f_l@h",
    "fl+shop2024@h",
    "l@h",
    "f@h",
    "F.L@h",
    "f-l@h",
    "fl88@h",
    "f.l+news@h",
    "f.müller@bücher-köln.de",
    "info@münchner-kino.de",
    "f.l@n.com",
]
VEILED = [
    "f.l_[at]_n_[dot]_org",
    "f_(at)_h",
    "l(at)n.de",
    "f.l_AT_n_DOT_com",
    "f[at]n[dot]net",
    "f.l_@_h",
    "f_at_n_dot_com",
    "f.l&#64;h",
    "l{at}n{dot}eu",
    "f.l＠h",
]
EMAIL_LINES = _table(r"""
Write to ⟦§⟧ and quote the ticket number. ¦ Contact: ⟦§⟧ ¦ - ⟦§⟧ ¦ Thanks in advance! (⟦§⟧) ¦ ⟦§⟧ ¦ My address is ⟦§⟧.
Lind,Frank,⟦§⟧,Malmö ¦ Author: F Lind, ⟦§⟧; reviewed by the team. ¦ From: "F. Lind" <⟦§⟧>
[mail](mailto:⟦§⟧?subject=Refund) ¦ <a href="mailto:⟦§⟧">write to us</a> ¦ git config user.email "⟦§⟧"
{"user": "flind", "mail": "⟦§⟧", "active": true} ¦ 2024-05-01 09:00:12 postfix/smtp: to=<⟦§⟧>, status=bounced
To: ⟦§⟧; Cc: the whole team
""")
EMAIL_SOUND = _table(r"""
Ask ⟦@martina⟧ or ⟦@dev_team⟧ in the channel. ¦ ⟦@app.route("/login")⟧\ndef login():\n    return render()
⟦@pytest.mark.parametrize⟧("n", [1, 2])\ndef test_it(n): ... ¦ ⟦root@web01:~#⟧ systemctl restart nginx
⟦pi@raspberrypi⟧:~ $ ls ¦ npm install ⟦@babel/core@7.23.0⟧ ¦ yarn add ⟦react@18.2.0⟧ ⟦lodash@4.17.21⟧
beta = inv(⟦X.T@X⟧) @ X.T @ y ¦ The product ⟦a@b⟧ is a matrix. ¦ ⟦W1@x⟧ + b1 is the first layer.
⟦@media (max-width: 600px)⟧ { nav { display: none; } } ¦ Three dozen eggs ⟦@ 2.50⟧ each. ¦ ⟦alpine@sha256:{H64}⟧
SELECT * FROM t WHERE id = ⟦@customer_id⟧; ¦ ⟦@Override⟧\npublic String toString() { return name; }
Export the picture as ⟦icon@2x.png⟧ and ⟦icon@3x.png⟧. ¦ systemctl status ⟦getty@tty1.service⟧
"typescript": "⟦npm:typescript@^5.3.0⟧" ¦ ⟦@import url("base.css");⟧ ¦ ⟦@daily⟧ /usr/local/bin/backup.sh
Hello ⟦@Model.CustomerName⟧, your order has shipped. ¦ ⟦ssh deploy@buildhost⟧ uptime ¦ uses: ⟦actions/checkout@v4⟧
=SUM(⟦@Amount⟧) in a structured table ¦ Meet ⟦at the dot of noon⟧ at the main gate.
The ⟦@ sign⟧ is also called the commercial at. ¦ go get ⟦golang.org/x/tools@latest⟧
value = ⟦$obj->@*⟧; print "@items";
""")

PHONES = _table("""
(212) 736-#### | 415-861-#### | 312.922.#### | 1-800-733-#### | +1 617 495 #### | +1 (503) 222-#### ext. 14
646 253 #### x203 | +13037862### | 020 7946 0### | 07700 900### | 0161 496 0### | +44 (0)20 7946 0### | +44 7700 900###
030 2270#### | 0171/53#### | +49 (0) 89 / 54 72 ##-0 | 089-5472##-12 | +49 171 555#### | 0049 40 8765##
01 44 27 ## ## | 06.12.34.##.## | +33 6 12 34 ## ## | 0033 1 44 27 ## ## | +34 91 523 ## ## | +39 06 6982 ####
+31 20 573 #### | +32 2 507 ## ## | +41 44 632 ## ## | +43 1 711 ##-0 | +48 22 695 ## ## | +46 8 508 ### ##
+47 22 85 ## ## | +45 33 92 ## ## | +358 9 1311 ### | +351 21 391 #### | +353 1 603 #### | +420 224 810 ###
+30 210 338 #### | +90 212 440 #### | +7 (495) 695-##-## | +380 44 255 #### | +91 98765 4#### | +86 138 1234 ####
+81 3-5253-#### | +82 10-4321-#### | +61 412 34# ### | (02) 9374 #### | +64 9 355 #### | +55 11 98765-####
+52 55 5093 #### | +54 9 11 4321-#### | +27 21 400 #### | +234 803 123 #### | +972 2-530-#### | +971 4 319 ####
+65 6221 #### | +852 2810 #### | +66 2 694 #### | +62 812-3456-#### | +60 3-8883 ####
""")
PHONE_LINES = _table(r"""
Call ⟦§⟧ before noon. ¦ Tel.: ⟦§⟧ ¦ - mobile: ⟦§⟧ ¦ You can reach the ward at ⟦§⟧. ¦ <a href="tel:⟦§⟧">ring us</a>
{"name": "A. Moreau", "phone": "⟦§⟧"} ¦ Moreau;Lea;⟦§⟧;Lyon ¦ My number is ⟦§⟧, please ring me back. ¦ Fax ⟦§⟧
WhatsApp ⟦§⟧ (evenings only) ¦ [12:04] guest: can someone phone me on ⟦§⟧?
""")
PHONE_SOUND = _table("""
The survey ran over ⟦1998-2004⟧ and again in ⟦2010–2015⟧. | The ratio was 1.42 (95% CI ⟦1.102-1.831⟧; p = 0.0034).
See doi:⟦10.1016/0304-3975(95)00123-9⟧ for the proof. | The effect was weak (⟦p = 0.0012345⟧).
The release is dated ⟦2024-03-11⟧. | The job ran from ⟦2023-11-02 14:05:33⟧ to 14:07:01.
Coordinates: ⟦52.520008, 13.404954⟧ | The hut is at ⟦46° 33' 12" N 008° 33' 40" E⟧.
It costs ⟦$1,299,500.00⟧ at auction. | Revenue was ⟦12 345 678⟧ euro. | Upgrade to version ⟦10.0.19045.3930⟧.
Part ⟦555-0199-A12⟧ is out of stock. | The gateway is ⟦192.168.100.254⟧. | ISSN ⟦0028-0836⟧ | ISBN ⟦0-306-40615-2⟧
pp. ⟦1123-1138⟧ in volume 12 | The final score was ⟦101-98⟧. | chi2(3) = ⟦1234.5678901⟧, n = 20415
digest ⟦0171536482a9c1⟧ differs | mean ⟦0.8412345678⟧, sd ⟦0.0213456789⟧ | Use the filter ⟦100-200-300⟧ Hz.
The range ⟦120 000 - 150 000⟧ covers most cases. | Seeds ⟦12345 67890⟧ were used. | Take room ⟦3-114-02⟧.
rows ⟦1000-1999, 2000-2999⟧ | GSE⟦10072123⟧ holds the arrays. | NCT⟦01234567⟧ was registered first.
PMID: ⟦21645374⟧ | Order ⟦#20240311-0042⟧ is paid. | 10^⟦-12⟧ and 2^⟦31⟧ - 1 = ⟦2147483647⟧
The bus leaves at ⟦07:15, 08:15, 09:15 and 10:15⟧. | width: ⟦1920x1080⟧, ratio 16:9 | Blood pressure ⟦120/80, 130/85⟧
Scores: ⟦12 14 18 22 25 31⟧ | It is ⟦384,400,000⟧ metres away. | Sizes ⟦36-38-40-42⟧ are left. | error ⟦0x80070643⟧
CAS ⟦7732-18-5⟧ is water. | EC ⟦231-791-2⟧ | The port range ⟦49152-65535⟧ is free. | Unix time ⟦1700000000⟧
""")

# ------------------------------------------------------------------------------------------------ mojibake, HTML
MOJIBAKE = _table("""
cp1252 | The ⟦café⟧ opens at eight. | She wrote her ⟦résumé⟧ on the train. | ⟦Müller⟧ signed the form.
cp1252 | It⟦’s⟧ not covered by the plan. | He called it ⟦“urgent”⟧ in the note. | Pay first ⟦—⟧ then ask. | And so on⟦…⟧
cp1252 | The price is ⟦€40⟧ a month. | Keep it below ⟦25 °C⟧. | Served ⟦à la carte⟧ only. | Well done ⟦👍⟧ everyone.
cp1252 | The sign says ⟦Привет⟧ in red. | Thanks ⟦😀⟧ for asking. | ⟦São Paulo⟧ is the largest. | Add ⟦¾ pint⟧ of milk.
latin-1 | We met in ⟦Zürich⟧ last year. | The ⟦naïve⟧ view is wrong. | The board of ⟦Société Générale⟧ met.
latin-1 | He lives in ⟦Łódź⟧ now. | A ⟦crème brûlée⟧ needs an hour. | Don⟦’t⟧ open it yet.
cp1252 cp1252 | The ⟦café⟧ was closed. | ⟦Größe⟧ means size. | I don⟦’t⟧ agree. | ⟦José⟧ sent the file.
latin-1 latin-1 | The ⟦façade⟧ was painted. | ⟦Malmö⟧ is near Lund.
cp1250 | The ⟦fiancée⟧ may sign. | ⟦Dvořák⟧ lived here. | ⟦Köln⟧ is on the Rhine. | It isn⟦’t⟧ due.
mac_roman | The ⟦touché⟧ was ironic. | ⟦Nürnberg⟧ has a fair. | A ⟦soufflé⟧ may sink. | ⟦“Yes”⟧, he said.
cp437 | ⟦André⟧ moved the files. | ⟦Düsseldorf⟧ was cold. | The ⟦menü⟧ is in German. | ⟦Peña⟧ won.
cp850 | ⟦Göteborg⟧ has trams. | ⟦François⟧ resigned.
cp1251 | The manual says ⟦Ошибка диска⟧ here. | ⟦Москва⟧ is the capital. | ⟦élan⟧ is French.
>cp1251 latin-1 | The label reads ⟦Договор⟧ in bold. | Press ⟦Отмена⟧ to stop.
>cp1252 mac_roman | The ⟦Übung⟧ was long. | ⟦Señor⟧ Ruiz agreed. | The ⟦déjà vu⟧ came back.
>mac_roman cp1252 | Her ⟦résumé⟧ was late. | The ⟦Straßenbahn⟧ is a tram.
>latin-1 utf-8 | The ⟦Führung⟧ starts at ten. | A ⟦déjeuner⟧ is lunch.
""")
MOJIBAKE_SOUND = _table(r"""
⟦São Paulo⟧ and ⟦Brasília⟧ are both in Brazil. | The poster said ⟦NÃO⟧ and ⟦AMANHÃ⟧ in capitals. | ⟦IRMÃ⟧ is "sister".
⟦Ân⟧ and ⟦Ấn Độ⟧ are Vietnamese words. | ⟦Phở bò⟧ is a soup; ⟦cà phê sữa đá⟧ is iced coffee. | ⟦Ângela⟧ won the race.
⟦Târgu Mureș⟧ is in ⟦România⟧; ⟦ÎN⟧ is "in". | The sign ⟦“DÂMBOVIȚA”⟧ is Romanian. | ⟦∑ x² ≤ √n, α ≠ β ± 2⟧ holds.
It costs ⟦£50, €60 or ¥7,000⟧. | ⟦© 2024 Acme® and Widget™⟧ | He said ⟦« bonjour »⟧ and left. | Great job ⟦😀👍🏽🎉⟧!
⟦Þórður⟧ and ⟦Guðrún⟧ are Icelandic names. | ⟦Ångström⟧ was a Swede. | ⟦¿Qué?⟧ she asked. | Add ⟦½ cup at 180 °C⟧.
⟦├── src\n│   └── main.py⟧ is the layout. | ⟦İstanbul⟧ has a dotted capital. | ⟦Dvořák⟧ and ⟦Čapek⟧ were Czech.
⟦Αθήνα⟧ is Athens in Greek. | ⟦Łódź⟧ is a Polish city. | ⟦Москва⟧ is Moscow in Russian. | The dose is ⟦5 µg/m³⟧.
⟦naïve, café, résumé⟧ keep their accents. | ⟦L’Haÿ-les-Roses⟧ lies south of Paris. | See ⟦§ 5, ¶ 2 and № 7⟧.
Press ⟦→ then ↵⟧ to go on. | ⟦“Curly” and ‘single’ quotes – with a dash…⟧ are fine. | ⟦東京⟧ is Tokyo.
""")
HTML = _table(r"""
<p>Please check your § first.</p> | Your <b>§</b> is shown on the statement. | We changed the <strong>§</strong>.<br>
<div class="post"><p>It is about the § only.</p></div> | <ul><li>§</li><li>Opening hours</li></ul> | The § is here.</br>
<table><tr><td>§</td><td>12</td></tr></table> | <!-- wp:paragraph -->The § has moved. | The <i>§ was late.
See the <a href="https://www.harbour-lane.net/faq?id=7" class="link" target="_blank">§</a> page.
It is the §</p> that counts. | <FONT COLOR="red">§</FONT> matters. | Read the <span style="color:#333">§</span> now.
&lt;b&gt;§&lt;/b&gt; comes first. | &amp;lt;p&amp;gt;§&amp;lt;/p&amp;gt; was sent. | Keep the §.<br/ > Then sign.
<h3>§</h3> | <script>track("x");</script>The § is due. | <img src="a.png" alt="">The § follows.
<style>p { margin: 0 }</style>Mind the §. | Send the §<sup>1</sup> today. | <blockquote>The § came back.</blockquote>
Ask about the §.<br /> | <em><u>§</u></em> wins. | The <tt>§</tt> is new. | <o:p></o:p>The § is enclosed.
""")
HTML_PHRASES = "annual fee schedule|Terms &amp; Conditions sheet|M&uuml;ller branch|dealer&#39;s invoice|R&amp;D credit"
ENTITIES = _table("""
Read the ⟦Terms &amp; Conditions⟧ first. ¦ It bears the ⟦dealer&rsquo;s stamp⟧ below.
A ⟦&quot;gold&quot; account⟧ is free. ¦ Show the ⟦caf&#233; voucher⟧ at the till. ¦ It follows that ⟦5 &gt; 3⟧ holds.
The ⟦R&amp;amp;D grant⟧ has ended. ¦ Our ⟦M&uuml;nchen desk⟧ is closed. ¦ A ⟦&pound;40 refund⟧ is on its way.
The ⟦Q1 &ndash; Q3 report⟧ is out. ¦ Note that ⟦it&#x27;s final⟧ now. ¦ Only ⟦&lt; 40⟧ are left.
He said ⟦&ldquo;wait&rdquo;⟧ and left.
""")
HTML_SOUND = _table(r"""
How do I make text bold in HTML? | Use ⟦<b>text</b>⟧ or <strong>text</strong>.
Which tag starts a list in HTML? | ⟦<ul>⟧ ¦ Write an HTML link to a start page. | ⟦<a href="/index.html">Start</a>⟧
Show a minimal HTML page. | ⟦```html\n<!DOCTYPE html>\n<html>\n  <body><p>Hello</p></body>\n</html>\n```⟧
How is an ampersand escaped in HTML? | Write ⟦&amp;⟧ in the source.
How do I centre a div? | ⟦<div style="margin: 0 auto; width: 50%">content</div>⟧
What does the br tag look like in HTML? | It is ⟦<br>⟧ and has no closing tag.
Write an HTML comment. | ⟦<!-- remember to update the year -->⟧
Create an HTML table with one cell. | ⟦<table><tr><td>1</td></tr></table>⟧
How is a list of strings declared in Java? | Write ⟦List<String> names = new ArrayList<>();⟧ at the top.
What is a map of vectors in C++? | ⟦std::map<int, std::vector<double>> m;⟧
When is the branch taken? | It is taken when ⟦a < b and c > d⟧ both hold.
What does p < 0.05 mean? | ⟦p <0.05 and n> 30⟧ is a usual threshold for a result to be called significant.
How do I start the server? | Run ⟦server --port <port> --host <name>⟧ in a terminal.
How do I configure the log level in the XML file? | Add ⟦<logger name="root" level="WARN"/>⟧ to it.
How is a Maven dependency declared? | ⟦<dependency>\n  <groupId>junit</groupId>\n</dependency>⟧
Where is the manual? | It is at ⟦<https://www.harbour-lane.net/manual>⟧.
How is a fraction written in LaTeX? | Write ⟦$\frac{a}{b} < c \& d$⟧ between dollars.
Write a Python loop over a list. | ⟦for item in items:\n    if item < 3:\n        print(item)\n    else:\n        break⟧
Write a Python class with one method. | ⟦class Dog:\n    def bark(self):\n        return "<woof>"⟧
Write a recursive factorial in Python. | ⟦def fact(n):\n    return 1 if n < 2 else n * fact(n - 1)⟧
How do I redirect output in a shell? | ⟦sort < in.txt > out.txt 2>&1 && echo done⟧
How are two conditions joined in C? | ⟦if (a < b && b > 0) { x <<= 1; }⟧
Write a generic identity function in TypeScript. | ⟦function id<T>(x: T): T { return x; }⟧
How do I include a header in C? | ⟦#include <stdio.h>⟧
How should a heart be typed in plain text? | Type ⟦<3⟧ and it is understood.
Which URL has two parameters? | ⟦https://www.harbour-lane.net/list?page=2&copy=1&lang=en⟧ has even three.
How is a Vue component used in a template? | ⟦<MyButton :label="text" @click="save" />⟧
What does the arrow in Haskell's bind look like? | ⟦do { x <- getLine; y <- getLine; return (x <> y) }⟧
""")

# --------------------------------------------------------------------------------- whole rows: cut, empty, language
TRUNCATED_SOUND = _table(r"""
Which language did Stroustrup design? | C++ ¦ What was the best grade on the report? | A+
How large is the monitor? | 27" ¦ How long is the warranty? | 24 months
Where is the source code? | https://github.com/python/cpython ¦ Where are the docs? | www.harbour-lane.net/docs/
List three primary colours. | - Red\n- Yellow\n- Blue
List the steps to boot from USB. | 1. Insert the stick\n2. Restart the machine\n3. Press F12
Give a title for an essay about bees. | The Quiet Labour of Bees
Write a headline about the flood. | River Rises, Town Stands Firm
How does one say "good luck" in German with German quotes? | In German one writes „Viel Glück“
Write a loop in C. | for (int i = 0; i < 3; i++) {\n    puts("x");\n}
Write an SQL query for all names. | SELECT name FROM customers ¦ Write a shell command listing hidden files. | ls -la
Congratulate a friend in one line. | Happy birthday, have a wonderful day 🎉
What is the formula of the kinetic energy? | E = 1/2 m v^2 ¦ What is the value of the constant? | The value is: 42
What is the quadratic formula? | x = (-b ± √(b² - 4ac)) / 2a ¦ At what time does the shop close? | At 6 p.m.
Show a table of two cities. | |City|Country|\n|---|---|\n|Oslo|Norway| ¦ Who wrote Emma? | Jane Austen
Which fruits contain vitamin C? | Oranges, kiwis, strawberries, peppers, etc.
Write two lines of verse about rain. | The rain comes softly to the door,\nand sings of rivers, sea and shore
Complete: To be or not to be | To be, or not to be, that is the question ¦ Which company made the Walkman? | Sony Corp.
How is pyrite written as a formula? | FeS2 ¦ Which keys copy a text? | Ctrl+C
What is the capital and population of Norway? | Oslo (about 700,000) ¦ How is the ratio written? | 16:9
Write a greeting that closes a letter. | Best regards,\nMaria Lopez ¦ Which preposition fits: "depend ___"? | on
Give a JSON object with one field. | {"name": "Ada"} ¦ Which word opens an English article most often? | the
What temperature does the oven need? | 180 °C
Give an example of a suspenseful last sentence. | Then the door opened, and nobody was there...
""")
EMPTY = [
    "",
    " ",
    "\n",
    "\t\n ",
    *[
        "n/a",
        "N/A",
        "N.A.",
        "NA",
        "n.a.",
        "-",
        "--",
        "---",
        "—",
        "?",
        "??",
        "TBD",
        "tbd",
        "TBA",
        "TODO",
        ".",
        "...",
        "…",
        "null",
        "NULL",
        "nan",
    ],
]
EMPTY += """undefined|<p></p>|<br>|<p>&nbsp;</p>|&nbsp;|#N/A|#REF!|#VALUE!|[]|{}|""|''|(empty)|[empty]|(blank)|No answer
No answer provided.|not available|[deleted]|[removed]|*|/|_|(none)|<div><br></div>|same as above|to be added
see above|(see above)|As above.|See previous answer.|-/-""".replace("\n", "|").split("|")
EMPTY += ["\u200b", "\ufeff", "\u00a0", "\u2060\u200b", "\u3000"]
EMPTY_SOUND = _table(r"""
How many moons does Venus have? | None ¦ How many moons does Mercury have? | 0 ¦ Is a whale a fish? | No
Which operator concatenates strings in Java? | + ¦ What is six times seven? | 42 ¦ Which language preceded C++? | C
What does 0/0 give in floating point? | NaN ¦ What was the visitors' score in the football match that ended 2-0? | Nil
Which symbol denotes the empty set? | ∅ ¦ Which emoji shows approval? | 👍 ¦ Which sign negates a number? | -
Which wildcard matches exactly one character? | ? ¦ Which wildcard matches any number of characters? | *
Which character ends a sentence? | . ¦ What stands for "not applicable" on a form? | N/A
What value has a missing reference in Java? | null ¦ Which abbreviation says that a date will be fixed later? | TBD
Which value does a Python function return without a return statement? | None ¦ Which HTML tag breaks a line? | <br>
What is typeof of an undeclared variable in JavaScript? | undefined ¦ Which two letters stand for ruthenium? | Ru
Which separator stands in Unix paths? | / ¦ Which character begins a private name in Python? | _
How is an empty list written in Python? | [] ¦ How is an empty object written in JSON? | {}
Which three dots mark an omission? | ... ¦ Which punctuation mark joins two words into a compound? | -
Does the plan cover theft? | Yes ¦ Which note follows A in the scale? | B ¦ What is the Roman numeral for 10? | X
Which entity is a non-breaking space in HTML? | &nbsp; ¦ Which comment marks unfinished work in code? | TODO
""")
LANGUAGE = _table("""
What does yeast do in bread? | La levadura transforma el azúcar en gas y por eso la masa sube antes de entrar al horno.
¿Cómo cambio mi contraseña? | Abra el menú de ajustes, elija seguridad y escriba dos veces la nueva contraseña.
Why is the sky blue? | La lumière bleue est diffusée davantage par l'air que la lumière rouge, voilà pourquoi.
Comment annuler ma commande ? | Ouvrez la page de vos achats et cliquez sur le bouton rouge avant minuit.
How does a heat pump work? | Eine Wärmepumpe entzieht der Luft Wärme und gibt sie an das Wasser der Heizung ab.
Wie kündige ich meinen Vertrag? | Schreiben Sie uns einen Brief mit Ihrer Kundennummer, wir bestätigen das Ende sofort.
Why do cats purr? | I gatti fanno le fusa quando sono tranquilli, ma anche quando hanno paura o dolore.
Come si prepara il risotto? | Si tosta il riso con la cipolla e si aggiunge il brodo poco alla volta mescolando.
What is a mortgage? | É um empréstimo de longo prazo em que o imóvel serve de garantia até ao fim do pagamento.
Onde fica a farmácia mais próxima? | Fica na segunda rua à direita, ao lado da padaria, e fecha às oito horas.
How are tulips grown? | Je plant de bollen in het najaar op tien centimeter diep en wacht dan tot de lente komt.
Hoe laat vertrekt de trein? | De trein naar het noorden vertrekt elk uur om kwart over van het derde spoor.
What is amber? | Bursztyn to skamieniała żywica drzew iglastych, którą morze wyrzuca na brzeg po burzy.
Jak założyć konto w banku? | Wystarczy przyjść do oddziału z dowodem osobistym i podpisać umowę na miejscu.
Who invented the radio? | Радио изобрели несколько учёных почти одновременно, и спор об этом идёт до сих пор.
Как приготовить борщ? | Сварите бульон, добавьте свёклу, капусту и картофель и варите до готовности.
What is photosynthesis? | 光合作用是植物利用阳光把二氧化碳和水变成糖和氧气的过程。
怎样才能睡得更好？ | 睡前不要看手机，房间要安静、黑暗，每天按时上床。
How is green tea brewed? | お湯を八十度くらいに冷ましてから茶葉に注ぎ、一分ほど待ってください。
駅はどこですか。 | この道をまっすぐ行って、二つ目の信号を左に曲がると右側にあります。
What is kimchi? | 김치는 배추를 소금에 절인 뒤 고춧가루와 마늘로 양념하여 발효시킨 음식입니다.
환불은 얼마나 걸리나요? | 신청하신 날부터 영업일 기준으로 사흘 안에 카드로 돌려드립니다.
What is an oasis? | الواحة مكان في الصحراء فيه ماء وأشجار ويستريح فيه المسافرون من حرارة الشمس.
كيف أفتح حسابا جديدا؟ | اكتب اسمك وعنوانك في النموذج ثم أرسل صورة من بطاقة الهوية.
How is coffee roasted? | Kahve çekirdekleri yüksek sıcaklıkta renkleri koyulaşana kadar sürekli karıştırılarak kavrulur.
Faturamı nasıl öderim? | Uygulamayı açın, ödenmemiş faturayı seçin ve kartınızla ödemeyi onaylayın.
What are the northern lights? | Norrsken uppstår när partiklar från solen träffar luften högt ovanför jorden.
Hur byter jag adress? | Logga in på din sida, välj uppgifter och skriv in den nya adressen före månadens slut.
What is the monsoon? | मानसून वह मौसमी हवा है जो गर्मियों में समुद्र से ज़मीन की ओर बारिश लेकर आती है।
मेरा पार्सल कहाँ है? | आपका पार्सल कल शाम तक आपके घर पहुँचा दिया जाएगा, कृपया प्रतीक्षा करें।
What is fish sauce? | Nước mắm được làm từ cá và muối ủ trong thùng gỗ nhiều tháng trước khi đem lọc.
Làm sao để đổi vé máy bay? | Quý khách vui lòng gọi cho hãng trước giờ bay ít nhất một ngày.
What is olive oil good for? | Το ελαιόλαδο χρησιμοποιείται στις σαλάτες και στο μαγείρεμα και κάνει καλό στην καρδιά.
Πότε ανοίγει το μουσείο; | Το μουσείο ανοίγει κάθε μέρα στις εννέα εκτός από τη Δευτέρα.
What is the Dead Sea? | ים המלח הוא אגם מלוח מאוד והמקום הנמוך ביותר על פני היבשה.
How is rice harvested? | Padi dipotong dengan sabit setelah menguning lalu dijemur beberapa hari di bawah matahari.
Bagaimana cara mengganti nomor saya? | Silakan datang ke kantor terdekat dengan membawa kartu tanda penduduk.
What is goulash? | Guláš se vaří pomalu z hovězího masa, cibule a papriky, dokud není maso měkké.
Miten haen asuntoa? | Täytä hakemus verkossa ja liitä mukaan todistus tuloista, niin vastaamme viikon sisällä.
How do bees make honey? | Бджоли збирають нектар із квітів і в стільниках поступово перетворюють його на мед.
What is paprika? | A paprika szárított és őrölt növény, amely színt és ízt ad a magyar ételeknek.
What is durian? | ทุเรียนเป็นผลไม้ที่มีกลิ่นแรงและเปลือกมีหนาม แต่เนื้อข้างในหวานและนุ่มมาก
¿Cuál es la capital del Perú y cuánta gente vive allí? | Lima is the capital; about ten million people live there.
Warum ist das Meerwasser eigentlich so salzig? | Rivers wash salts out of the rocks and carry them into the sea.
为什么夏天的白天比冬天长？ | Because the axis of the Earth is tilted towards the sun in summer.
Почему листья осенью становятся жёлтыми? | The green chlorophyll breaks down and other pigments show.
How does the account work?\\nComment fonctionne le compte bancaire pour les étudiants étrangers ? | Il est gratuit.
""")
LANGUAGE_SOUND = _table(r"""
Who painted the ceiling of the chapel? | It was painted by Michelangelo di Lodovico Buonarroti Simoni.
Who played for Bayern in that match? | Thomas Müller, Philipp Lahm, Bastian Schweinsteiger and Jérôme Boateng.
Name four Italian dishes. | Spaghetti alla carbonara, ossobuco alla milanese, vitello tonnato, panna cotta
List the stations on the line. | Saint-Lazare, Madeleine, Pyramides, Châtelet, Gare de Lyon
Which Latin terms name the fallacies? | Ad hominem, ad verecundiam, post hoc ergo propter hoc
What is the Latin name of the house sparrow? | Passer domesticus
Which species of oak grow there? | Quercus robur, Quercus petraea and Quercus pubescens
Translate "good morning, how are you?" into German. | Guten Morgen, wie geht es Ihnen?
Translate "the house is red" into Spanish. | La casa es roja.
Translate "thank you very much" into Japanese. | どうもありがとうございます
Say "where is the station" in Russian. | Где находится вокзал?
What is the motto of France? | Liberté, égalité, fraternité
What did Caesar say about Gaul? | He wrote "Gallia est omnis divisa in partes tres" at the start.
What does "Schadenfreude" mean? | It is a German word for the joy at the misfortune of others.
Give the formula of aspirin and its IUPAC name. | C9H8O4, 2-acetoxybenzoic acid
Write a line of Python that prints pi. | import math; print(math.pi)
Write a query for open orders. | SELECT id, total FROM orders WHERE paid = 0 ORDER BY id;
Which towns lie on the lake? | Überlingen, Meersburg, Friedrichshafen, Lindau, Bregenz
Who are the authors? | Nguyễn Văn An, Łukasz Wójcik, Søren Kierkegaard, Björk Guðmundsdóttir
What is in the spice mix? | Garam masala, haldi, jeera, dhania and amchur
Which bones form the wrist? | Os scaphoideum, os lunatum, os triquetrum, os pisiforme
What is the refrain of the song? | The refrain goes "Frère Jacques, dormez-vous?" and is sung twice.
Which cheeses do you sell? | Brie de Meaux, Camembert de Normandie, Roquefort, Comté
How is "hello" written in Arabic? | It is written مرحبا and read from right to left.
Conjugate the French verb "être" in the present. | je suis, tu es, il est, nous sommes, vous êtes, ils sont
Which yoga poses open the hips? | Baddha konasana, eka pada rajakapotasana, malasana
What is the German title of Kafka's novel? | Der Prozess
Name the parts of the Requiem. | Kyrie, Dies irae, Lacrimosa, Sanctus, Agnus Dei
""")

# ------------------------------------------------------------------------------------ pairs: same, other, leaked
NEAR = _table("""
How can I change the billing address of my order? | The billing address of my order, how can I change it?
Which documents do I need to open a joint account? | To open a joint account, which documents do I need?
What is the best way to remove rust from a cast iron pan? | What's the best way of removing rust from a cast-iron pan?
Is it safe to freeze cooked rice? | Is freezing cooked rice safe?
How do I install a printer on Windows 11? | On Windows 11, how do I install a printer?
Why does my phone get hot while charging? | While charging, why does my phone get hot?
How many days of leave do trainees have? | How many days of leave does a trainee have?
Can I bring my dog into the library? | can i bring my dog in to the libary
Where do I find the invoice of last month? | Where do I find last month's invoice?
How long should I boil an egg for a firm yolk? | For a firm yolk, how long should I boil an egg?
What colour is the emergency switch on the pump? | What color is the emergency switch on the pump??
Do you ship to the Canary Islands? | do u ship to the canary islands
""")
NEAR_SOUND = _table("""
What is the {weight/height} of the Mark 4 ladder? | It is 11 kg. | It is 3.2 m.
How do I {clean/clear} the print queue panel? | Wipe it with a dry cloth. | Choose "Cancel all jobs".
Where can I buy a new {cable/table} for the workshop? | In the electrical shop. | In the furniture shop.
How do I {import/export} contacts as a CSV file? | Choose File, then Open. | Choose File, then Save as.
How do I {install/uninstall} the scanner driver? | Run setup.exe. | Use the control panel and choose Remove.
Which plants can {/not }survive frost in a pot? | Pansies and heather do. | Basil and tomatoes do not.
Which fuse fits the {24/12} V pump? | The blue one of 15 A. | The yellow one of 20 A.
What is the maximum load of the lift {KX-210/KX-120}? | 900 kg. | 450 kg.
How many {grams/ounces} are in a pound? | 453.6 | 16 ¦ When was {Charles/Charlotte} Bronson born? | In 1921. | In 1953.
What does the {left/right} lamp on the panel show? | That the heating is on. | That the water is low.
Which holidays are in {January/February}? | New Year's Day. | There is none.
Is it {legal/illegal} to park on the kerb at night? | It is, where a sign allows it. | No, unless a sign forbids it.
How do I {lock/unlock} the safe? | Turn the wheel to the left. | Type the code and turn the wheel right.
What is the {minimum/maximum} age for the youth card? | It is 12. | It is 26.
Who won the final in {2014/2018}? | Germany. | France.
What is the boiling point of {ethanol/methanol}? | 78.4 °C | 64.7 °C
How far is {Mars/Mercury} from the sun on average? | 228 million km | 58 million km
How do I {increase/decrease} the font size? | Press Ctrl and plus. | Press Ctrl and minus.
What are the side effects of {hydroxyzine/hydralazine}? | Drowsiness and a dry mouth. | Headache and a fast pulse.
What is the dose for {adults/infants}? | Two tablets. | Ask a doctor first.
When does the {first/last} bus leave on Sundays? | At 6:40. | At 23:15.
What does HTTP status {401/410} mean? | Not authenticated. | The page is gone for good.
How do I {encode/decode} a string in base64? | Use b64encode. | Use b64decode.
What is the capital of {Iran/Iraq}? | Tehran | Baghdad
Who may {accept/except} goods at the gate? | The porter. | Only the manager may make an exception.
How is {affect/effect} used in a sentence? | Mostly as a verb. | Mostly as a noun.
What is the fee for a transfer {to/from} Canada? | 12 dollars | It is free.
""")
CONTRADICTION = _table("""
How long is the warranty on the {coffee grinder/office chair}? | It is 24 months. | It is 6 months.
When does the {swimming pool/city archive} open on Saturdays? | It opens at 8 a.m. | It opens at 10:30 a.m.
Who is in charge of the {night shift/chess club}? | Mr Halvorsen is. | Ms Adeyemi is.
In which year was the {Torvik bridge/Aue railway station} built? | In 1911. | It was built in 1934.
How much does a {day ticket/wash of the car} cost? | 7 euros. | It costs 12 euros.
May I take {photos in the museum/a bicycle on the tram}? | Yes, at any time. | No, that is forbidden.
Which colour does the lamp of the {boiler/elevator} show when it is ready? | Green. | It turns blue.
What is the maximum weight of a {hand bag on the flight/letter to Peru}? | 2 kg. | It must not exceed 8 kg.
Where is the {fuse box/fire extinguisher}? | In the cellar, next to the stairs. | On the top floor behind the door.
How often must the {water filter/smoke detector battery} be replaced? | Every three months. | Once in two years.
Is the {blue paint/floor glue} suitable for outdoor use? | Yes, it resists rain. | No, it is for indoor use only.
Which port does the {licence server/print daemon} listen on? | 5093 | It listens on port 8224.
How many seats does the {Linden hall/ferry Saga} have? | 420 | It has 275 seats.
What is the deadline for {scholarship applications/tax refunds}? | 31 May. | The deadline is 15 July.
At which temperature is {the yoghurt/printer toner} stored? | At 4 °C. | It should be kept at 18 °C.
Who wrote the {company song/hiking guide}? | Ida Sorensen wrote it. | It is by Paul Okafor.
Does the {premium plan/student card} include roaming? | It does. | Roaming is not included.
Which side of the {film/carpet} faces up? | The shiny one. | The dull side faces up.
How long does {a refund/the vaccination course} take? | Five days. | It takes about six weeks.
What language is the {billing module/robot arm firmware} written in? | Rust. | It is written in Fortran.
What is the default password length of the {router/door lock}? | Eight digits. | It is four digits.
""")
CONTRADICTION_SOUND = _table("""
Which town is the seat of the canton Uri? | Altdorf. | The seat of the canton Uri is Altdorf.
How many days has a leap year? | 366 | A leap year has 366 days, one more than usual.
When did the war end? | In 1945. | It ended in 1945, after six years of fighting.
Is the museum free for children? | Yes. | Yes, children under 12 do not pay.
How do I reset the alarm clock? | Hold the button for 5 seconds. | Press the button and keep it down for five seconds.
Write a poem about the sea. | The sea is wide, the sea is deep. | Grey gulls are calling over foam.
Write a haiku about snow. | White roofs, quiet street. | Flakes on my mitten.
Tell me a joke. | Why did the hen cross the road? | Two fish are in a tank. ¦ Suggest a name for a cat. | Felix | Luna
Give an example of a mammal. | A dog. | A whale. ¦ Write a slogan for a bakery. | Fresh at dawn. | Bread with a heart.
Name a city in Spain. | Seville | Bilbao ¦ Generate a random number between 1 and 10. | 7 | 3
What is water made of? | Hydrogen and oxygen. | Each molecule has two atoms of hydrogen and one of oxygen.
How long is a marathon? | 42.195 km | It is 42.195 kilometres, or about 26.2 miles.
At what temperature does water boil at sea level? | At 100 °C. | At 212 degrees Fahrenheit.
How much is half a dozen? | 6 | Six. ¦ Who wrote Hamlet? | William Shakespeare | Shakespeare wrote it around 1600.
Describe a sunset in one sentence. | The sky burned orange. | Light sank into a purple sea.
How do I greet a customer? | Say hello and smile. | Greet them with a smile and a friendly hello.
What is the total? | 14 | 31 | Invoice lines: 4, 10 | Invoice lines: 20, 11
Who is the sender? | Ms Vega | Mr Olsen | Letter signed by Ms Vega. | Letter signed by Mr Olsen.
Classify the sentiment. | positive | negative | I love this lamp. | This lamp broke at once.
Correct the sentence. | He goes home. | They were late. | He go home. | They was late.
Summarize the text. | Sales rose. | Rain is coming. | Our sales rose in May. | Heavy rain is forecast.
When does the shop open? | At 9. | At 11. | Opening hours in Ghent: 9-18 | Opening hours in Bruges: 11-17
""")
ORDER = _table("""
What are the opening hours of the town library in winter? | In winter, what are the town library's opening hours?
Which tyres does the delivery van need in the mountains? | In the mountains, the delivery van needs which tyres?
How is the ink cartridge of the label printer replaced? | The ink cartridge of the label printer is replaced how?
When must a tenant report water damage to the landlord? | A tenant must report water damage to the landlord when?
Why does the dough of a rye loaf stay sticky? | The dough of a rye loaf stays sticky, why does it?
Who approves travel expenses above the limit of the team? | Travel expenses above the limit of the team: who approves?
How many sensors does the greenhouse controller support? | The greenhouse controller supports how many sensors?
What does the red code on the dishwasher display mean? | The red code on the dishwasher display, what does it mean?
Where can members of the club store their canoes? | Their canoes, where can members of the club store them?
Which bait attracts carp best in cold water? | In cold water, which bait best attracts carp?
How long may the rented drill be kept over a holiday? | Over a holiday, how long may the rented drill be kept?
Can the garden pump be left outside during frost? | During frost, can the garden pump be left outside?
How should wet wool socks be dried after a hike? | After a hike, how should wet wool socks be dried?
""")
ORDER_SOUND = _table("""
How do I convert feet to metres by hand? | How do I convert metres to feet by hand?
How long is the flight from Oslo to Rome? | How long is the flight from Rome to Oslo?
By how many goals did Ghent beat Bruges? | By how many goals did Bruges beat Ghent?
Why do dogs chase cats around the yard? | Why do cats chase dogs around the yard?
Is red wine served before white wine? | Is white wine served before red wine?
What happens if the buyer sues the seller? | What happens if the seller sues the buyer?
How many euros is a dollar worth today? | How many dollars is a euro worth today?
Which vitamin helps the body absorb iron? | Which iron helps the body absorb vitamin C?
How do I turn a list into a tuple in Python? | How do I turn a tuple into a list in Python?
""")
PARAPHRASE = _table("""
How can I get my money back for a broken kettle? | My kettle is defective; what must I do for a refund?
What is the fastest way to thaw a frozen turkey? | How do you defrost a turkey in the shortest time?
Why are my tomato leaves turning yellow? | What causes the foliage of tomato plants to go yellow?
How do I stop my glasses from fogging up? | What can one do against spectacles that mist over?
At what age can a child sit in the front of a car? | How old must kids be to ride in the passenger seat up front?
Who was the first woman to win a Nobel Prize? | Which female scientist was first to be awarded the Nobel Prize?
How do I delete my account for good? | What are the steps to permanently remove my user profile?
What should I feed a hedgehog in autumn? | Which food is right for hedgehogs in the fall?
How much sleep does a teenager need? | How many hours per night should adolescents sleep?
Is it allowed to burn leaves in my garden? | May I set fire to foliage on my own plot?
How can I make my laptop battery last longer? | What extends the running time of a notebook on battery?
What is the cheapest way to send a parcel abroad? | How do I ship a package to a foreign country at the lowest cost?
Why does bread go stale quickly in the fridge? | What makes a loaf dry out so fast when it is refrigerated?
""")
PARAPHRASE_SOUND = _table("""
How can I get my money back for a broken toaster? | My toaster is defective; how do I have it repaired?
Why are my rose leaves turning black? | What causes the buds of rose bushes to drop?
Who was the first man on the moon? | Which astronaut was the last to walk on the lunar surface?
How do I delete my search history for good? | What are the steps to permanently keep my browsing history?
How much water does a camel need? | How many litres per day should a horse drink?
Is it allowed to fly a drone over a beach? | May I set up a tent by the sea?
What is the cheapest train to Vienna? | How do I get to Vienna in the shortest time?
How do I remove a coffee stain from silk? | What takes red wine out of a cotton shirt?
""")
STOCK_SOUND = _table("""
What is the resistance of fuse {F17/F71} on the main board? | 4 ohm | 9 ohm
Which toner fits the printer {LX-400/LX-800}? | The T-11. | The T-35.
In which year did {Erik/Olaf} Stenberg join the institute? | 1978 | 1991
What is the melting point of {tin/zinc} in degrees? | 232 | 420
How many pages has volume {3/8} of the chronicle? | 318 | 402
When does train {1142/1424} leave Uppsala? | At 7:05. | At 16:20.
What is the area of {Malta/Malawi} in square kilometres? | 316 | 118,484
How do I reset the {front/rear} sensor of the trailer? | Press S1. | Press S4.
""")
EMBED_SOUND = _table("""
What is the boiling point of {argon/xenon} in kelvin? | 87 | 165
How much does locker {B14/B41} cost per month? | 3 euros | 5 euros
Who was the mayor of {Torvik/Tarvik} in 1950? | Nils Aas | Eva Berg
Which screw holds the {upper/lower} hinge of cabinet 7? | M4 | M6
How deep is lake {Orta/Iseo} at its deepest point? | 143 m | 251 m
When was bridge no. {9/6} over the canal opened? | In 1888. | In 1902.
Which valve does pump model {HP-30/HP-35} need? | V2 | V8
Is {lemon/melon} juice part of recipe 12? | Yes, a spoonful. | No.
""")
SHARED_CONTEXT = _table("""
The customer is polite and writes in English. | Answer in one sentence and be friendly.
You are a support agent of a telephone company; never promise refunds. | Use only facts that you are sure of.
""")
EMBED = [
    "Hello, I have been a customer for years and I am new to this topic. {} Thanks a lot for any help!",
    "My colleague and I had a discussion yesterday and could not agree on it, so here goes: {} We are curious.",
    "Read the task with care and think before you write. {} Keep the style simple and do not add a preface.",
    "Homework, second sheet, part b (the first one was easy): {} Please give reasons where it helps.",
]
REPLIES = _table("""
Page § of the blue booklet explains that. ¦ Mrs Amundsen in room § can tell you. ¦ Please see notice § at the door.
There is an entry on it in the wiki, number §. ¦ Look it up in chapter § of the handbook, which we lend out.
Our experts dealt with this in issue § of the club magazine. ¦ Watch film § on our channel; it shows everything.
We do not know, and § other people have asked before you. ¦ Visit counter § in the main hall and take a leaflet.
A member wrote a long post about exactly that in thread §.
""")
ASK = """What was known before this study?|What does the passage say at its beginning?|Give the background in short.
Which problem do the authors start from?|Quote the opening statement of the abstract.|Why was the study done?
What did the authors set out to look at?|How does the abstract introduce its topic?""".replace("\n", "|").split("|")

_CLASSES = {
    "A": string.ascii_letters + string.digits,
    "L": string.ascii_lowercase + string.digits,
    "U": string.ascii_uppercase + "234567",
    "H": "0123456789abcdef",
    "D": string.digits,
    "S": string.ascii_letters + string.digits + "-_",
    "B": string.ascii_letters + string.digits + "+/",
}
_PEM = ["RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]


# ------------------------------------------------------------------------------------------------------- making
def luhn(number: str) -> bool:
    """Whether the digits of `number` pass the check of payment cards."""
    digits = [int(char) for char in reversed(re.sub(r"\D", "", number))]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def iban_ok(account: str) -> bool:
    """Whether `account` passes the check modulo 97 of ISO 13616."""
    solid = re.sub(r"\W", "", account).upper()
    return int("".join(str(int(char, 36)) for char in solid[4:] + solid[:4])) % 97 == 1


def _chars(rng: random.Random, kind: str, count: int) -> str:
    """Random characters of a class."""
    return "".join(rng.choices(_CLASSES[kind], k=count))


def _block(rng: random.Random, label: str, lines: int = 6) -> str:
    """An armoured block such as a private key, of random content."""
    body = "\n".join(_chars(rng, "B", 64) for _ in range(lines))
    return f"{'-' * 5}BEGIN {label}{'-' * 5}\n{body}\n{_chars(rng, 'B', 22)}==\n{'-' * 5}END {label}{'-' * 5}"


def _special(rng: random.Random, kind: str) -> str:
    """What a notation of one letter other than the classes of characters stands for."""

    def coded(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode()

    last, digits = rng.choice(LAST), _chars(rng, "D", 3)
    password = rng.choice(
        [
            f"{last.title()}{digits}{rng.choice('!$_-~')}{_chars(rng, 'A', 5)}",
            f"{last}2{digits}",
            _chars(rng, "A", 12),
            f"{rng.choice(FIRST)}-{last}-{digits}",
        ]
    )
    if kind == "J":
        parts = [
            coded(json.dumps(part, separators=(",", ":"))).rstrip("=")
            for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": _chars(rng, "D", 10), "name": rng.choice(FIRST)})
        ]
        return ".".join([*parts, _chars(rng, "S", 43)])
    if kind in "IE":
        stem = "35" + _chars(rng, "D", 12) if kind == "I" else "978" + _chars(rng, "D", 9)
        if kind == "I":
            return next(stem + digit for digit in string.digits if luhn(stem + digit))
        return stem + str(-sum(int(char) * (1, 3)[at % 2] for at, char in enumerate(stem)) % 10)
    return {
        "P": password,
        "W": coded(f"{rng.choice(FIRST)}:{password}"),
        "G": _block(rng, "PGP PRIVATE KEY BLOCK", 9),
        "K": _block(rng, rng.choice(_PEM)),
        "k": _block(rng, "PRIVATE KEY").replace("\n", "\\n"),
        "C": _block(rng, rng.choice(["PUBLIC KEY", "CERTIFICATE"])),
        "N": "-".join(_chars(rng, "H", size) for size in (8, 4, 4, 4, 12)),
    }[kind]


def _fill(rng: random.Random, template: str, value: str = "") -> tuple[str, str]:
    """A template with all that is random in it, and the piece it marks (the last one, if several; all, if none)."""

    def made(found: re.Match) -> str:
        return _chars(rng, found[1], int(found[2])) if found[1] else _special(rng, found[3])

    text = re.sub(r"\{([ALUHDSB])(\d+)\}|\{([JPWKkGCNIE])\}", made, template.replace("§", value or "§"))
    pieces = re.findall(r"⟦(.*?)⟧", text, re.S)
    text = re.sub("[⟦⟧]", "", text)
    return text, pieces[-1] if pieces else text


def _card(rng: random.Random) -> str:
    """A valid number of a random issuer, solid or grouped."""
    prefix, size = rng.choice(CARDS.split()).split(":")
    stem = prefix + _chars(rng, "D", int(size) - 1 - len(prefix))
    number = next(stem + digit for digit in string.digits if luhn(stem + digit))
    cuts = [4, 10] if size in ("14", "15") else range(4, int(size), 4)
    groups = [number[start:end] for start, end in zip([0, *cuts], [*cuts, int(size)])]
    return rng.choice(["", "", " ", " ", "-", "\u00a0"]).join(groups)


def _iban(rng: random.Random, spec: str) -> str:
    """A valid account number such as "GB:4a14n" describes: a country, then sizes of digits, letters or either."""
    country, shape = spec.split(":")
    kinds = {"n": string.digits, "a": string.ascii_uppercase, "c": string.digits + string.ascii_uppercase}
    body = "".join(c for size, kind in re.findall(r"(\d+)(\w)", shape) for c in rng.choices(kinds[kind], k=int(size)))
    solid = next(f"{country}{n:02d}{body}" for n in range(2, 99) if iban_ok(f"{country}{n:02d}{body}"))
    style = rng.choice(["", "", " ", " ", " ", " ", "-", "low"])
    return solid.lower() if style == "low" else style.join(re.findall(".{1,4}", solid))


def _wrong(rng: random.Random, number: str) -> str:
    """The number with one digit replaced so that its check fails."""
    at = rng.choice([place for place, char in enumerate(number) if char.isdigit() and place > 1])
    return number[:at] + str((int(number[at]) + rng.randint(1, 9)) % 10) + number[at + 1 :]


def _email(rng: random.Random, form: str) -> str:
    """An address of a form: f and l are names, h a host, n a name of a host; an underscore beside a sign is a space."""
    name, last, host = rng.choice(FIRST), rng.choice(LAST), rng.choice(HOSTS)
    parts = {
        "f": name,
        "l": last,
        "F": name.title(),
        "L": last.title(),
        "fl": name[0] + last,
        "fl88": last + "88",
        "h": host,
        "n": rng.choice(["blauwal", "lumina", "torvik"]),
    }
    text = re.sub(r"(?<![^\W_])(fl88|fl|[flhnFL])(?![^\W_])", lambda found: parts[found[1]], form)
    return re.sub(r"_(\W?(?:at|dot|@)\W?)_", r" \1 ", text, flags=re.I)


def _misread(text: str, codecs: str) -> str:
    """Text written in UTF-8 (or in the codec after ">") and read in other codecs, one after the other."""
    names = codecs.split()
    if names[0].startswith(">"):
        return text.encode(names[0][1:]).decode(names[1], "replace")
    for name in names:
        raw = text.encode()
        try:
            text = raw.decode(name)
        except UnicodeDecodeError:  # the bytes that the codec lacks become control characters, as in browsers
            text = "".join(bytes([byte]).decode(name, "ignore") or chr(byte) for byte in raw)
    return text


def _both(line: str) -> tuple[str, str]:
    """The two readings of a line that holds {one/other}."""
    return tuple(re.sub(r"\{([^{}/]*)/([^{}/]*)\}", rf"\{side}", line) for side in (1, 2))


def _perturb(rng: random.Random, question: str, way: int) -> str:
    """The same question as another user would type it."""
    words = question.split(" ")
    long = [at for at, word in enumerate(words) if len(word) > 6 and word.isalpha() and word.islower()]
    if way in (0, 1) and long:
        at, cut = rng.choice(long), rng.randint(2, 4)
        word = words[at]
        words[at] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :] if way else word[:cut] + word[cut + 1 :]
        if words[at] != word:
            return " ".join(words)
    filler = rng.choice(["Hi, a quick question: {}", "{} Thanks!", "Please, {}", "hey guys, {}", "So, {} pls"])
    return {
        2: question.lower().rstrip(".?! "),
        3: question.upper(),
        5: question.rstrip(".?! ") + "???",
        6: question.replace(" ", "  ", 2) + " ",
    }.get(way, filler.format(question))


def _carriers(material: Path, rng: random.Random) -> list[dict]:
    """Rows of the material that hold nothing a cleaner should find, in random order."""
    rows = []
    for name in ("instructions_1100.json", "alpaca_en_demo.json"):
        for row in json.loads((material / name).read_text(encoding="utf-8")):
            rows.append({"question": row["instruction"], "answer": row["output"], "context": row.get("input", "")})
    with (material / "BankFAQs.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows.append({"question": row["Question"], "answer": row["Answer"], "context": "", "topic": row["Class"]})
    odd = re.compile(
        r"""@|www|http|[<>]|&\w+;|[+(]?\d[\d\s().-]{5,}\d|[^\x00-\x7f‘’“”–—°é£€]|protected\]|View\ more|
        (?i:click\ here|password|token|api.key|secret|translat|spanish|french|german|latin|italian)""",
        re.X,
    )
    small = set(
        [
            "the",
            "a",
            "an",
            "of",
            "to",
            "in",
            "is",
            "are",
            "what",
            "how",
            "do",
            "i",
            "for",
            "and",
            "can",
            "my",
            "on",
            "this",
            "it",
            "with",
            "your",
            "under",
            "have",
            "who",
        ]
    )
    kept, seen = [], set()
    for row in rows:
        row["question"], row["answer"] = row["question"].strip(), row["answer"].strip()
        text = "\n".join((row["question"], row["context"], row["answer"]))
        asked = re.findall(r"\w+", (row["question"] + " " + row["context"]).lower())
        keys = {" ".join(sorted({*asked} - small)), "= " + " ".join(re.findall(r"\w+", row["answer"].lower()))}
        ended = re.search(r"[.!?\"')`}\]]$", row["answer"]) and not re.search(r"(\n\d+\.|\.\.)$", row["answer"])
        if odd.search(text) or not ended or len(row["answer"]) < 12 or len(asked) < 3 or keys & seen:
            continue
        seen |= keys
        kept.append({name: value for name, value in row.items() if value})
    rng.shuffle(kept)
    return kept


class _Maker:
    """Collects rows and plants; takes each carrier once."""

    def __init__(self, material: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.material, self.carriers = material, _carriers(material, self.rng)
        self.words = {word.lower() for row in self.carriers for word in re.findall(r"[A-Za-z]+", row["answer"])}
        self.train: list[dict] = []
        self.test: list[dict] = []
        self.plants: list[Plant] = []
        self.count = 0

    def take(self, fits=lambda row: True) -> dict:
        """The next carrier that fits."""
        return self.carriers.pop(next(at for at, row in enumerate(self.carriers) if fits(row)))

    def add(self, row: dict, test: bool = False) -> str:
        """File a row; gives its id."""
        self.count += 1
        name = f"{'t' if test else 'r'}{self.count:05d}"
        (self.test if test else self.train).append({"id": name, **row})
        return name

    def plant(self, kind: str, row: dict, text: str = "", **more) -> None:
        """File a row with what is planted in it."""
        self.plants.append(Plant(self.add(row), kind, text, **more))

    def put(self, kind: str, snippet: str, piece: str, **more) -> None:
        """Plant a snippet in a field of a carrier: at its start, its end or between its sentences."""
        row, where = self.take(lambda row: "\n\n" not in row["question"]), self.rng.random()
        field = "answer" if where < 0.72 else "question" if where < 0.87 else "context"
        own = row.get(field, "")
        breaks = [found.end() for found in re.finditer(r"(?<=[a-z)])[.!?] (?=[A-Z])", own)]
        at = self.rng.choice([0, len(own), *breaks, *breaks])
        glue = "\n" if "\n" in snippet or at in (0, len(own)) or self.rng.random() < 0.4 else " "
        parts = [part for part in (own[:at].rstrip(" "), snippet, own[at:]) if part]
        self.plant(kind, {**row, field: glue.join(parts)}, piece, **more)

    def lines(self, kind: str, templates: list, values: list[str] | None = None) -> None:
        """Plant one snippet for every value, or for every template, in carriers."""
        flat = [part for row in templates for part in ((row,) if isinstance(row, str) else row)]
        for at in range(len(values or flat)):
            self.put(kind, *_fill(self.rng, flat[at % len(flat)], values[at] if values else ""))

    def sound(self, kind: str, templates: list, value=lambda: "") -> None:
        """Plant one look-alike for every template; unless it says what it is, no number in it may pass for a card."""
        for template in (part for row in templates for part in row):
            snippet, piece = _fill(self.rng, template, value())
            while "IMEI" not in template and any(map(luhn, re.findall(r"\d(?:[ \xa0-]?\d){11,19}", snippet))):
                snippet, piece = _fill(self.rng, template, value())
            self.put(kind, snippet, piece, sound=True)

    def pairs(
        self,
        kind: str,
        asked: tuple[str, str],
        answers: tuple[str, str],
        sound: bool = False,
        leak: bool = False,
        contexts: tuple[str, ...] = (),
    ) -> None:
        """File two rows that belong together: the earlier one is in the test file for a leak."""
        first, second = ({"question": question, "answer": answer} for question, answer in zip(asked, answers))
        for row, context in zip((first, second), contexts):
            row["context"] = context
        other = self.add(first, test=leak)
        self.plant(kind, second, of=other, sound=sound)


def _pieces(maker: _Maker) -> None:
    """Secrets, cards, accounts, e-mail addresses and phone numbers."""
    rng = maker.rng
    maker.lines("secret", TOKEN_LINES, TOKENS)
    maker.lines("secret", SECRET_LINES)
    maker.sound("secret", SECRET_SOUND)
    maker.lines("card", CARD_LINES, [_card(rng) for _ in range(48)])
    maker.sound("card", CARD_SOUND, lambda: _wrong(rng, _card(rng)))
    specs = IBANS.split()
    maker.lines("iban", IBAN_LINES, [_iban(rng, specs[at % len(specs)]) for at in range(48)])
    again = [row for row in IBAN_SOUND if "§" in row[0]] * 2
    maker.sound("iban", IBAN_SOUND + again, lambda: _wrong(rng, _iban(rng, rng.choice(specs))))
    maker.lines("email", EMAIL_LINES, [_email(rng, form) for form in EMAILS * 2])
    maker.lines("email", EMAIL_LINES[:8], [_email(rng, form) for form in VEILED * 2])
    links = ["https://www.harbour-lane.net/unsubscribe?u=⟦§⟧&list=4", "GET /login?user=⟦§⟧ HTTP/1.1 302"]
    maker.lines("email", links, [_email(rng, "l@h").replace("@", "%40") for _ in range(2)])
    maker.sound("email", EMAIL_SOUND)
    numbers = [re.sub("#", lambda _: rng.choice(string.digits), form) for row in PHONES for form in row]
    maker.lines("phone", PHONE_LINES, numbers)
    maker.sound("phone", PHONE_SOUND)


def _texts(maker: _Maker) -> None:
    """Mojibake and HTML."""
    for codecs, *sentences in MOJIBAKE:
        for sentence in sentences:
            head, piece, tail = re.split("[⟦⟧]", sentence)
            broken = _misread(piece, codecs)
            maker.put("mojibake", head + broken + tail, broken, clean="" if "\ufffd" in broken else piece)
    maker.sound("mojibake", MOJIBAKE_SOUND)
    phrases, wrapped = HTML_PHRASES.split("|"), [line for row in HTML for line in row]
    marked = [line.replace("§", f"⟦{phrases[at % 5]}⟧") for at, line in enumerate(wrapped + wrapped[:8])]
    for line in marked + [line for (line,) in ENTITIES]:
        snippet, piece = _fill(maker.rng, line)
        telltale = re.search(r"</?[A-Za-z!][^<>]*>?|&#?\w+;", snippet)[0]
        maker.put("html", snippet, telltale, clean=html.unescape(html.unescape(piece)))
    for question, answer in HTML_SOUND:
        text, piece = _fill(maker.rng, answer)
        maker.plant("html", {"question": question, "answer": text}, piece, clean=piece, sound=True)


def _cut(maker: _Maker, way: int) -> tuple[dict, str]:
    """A carrier and its answer as it stands after a cut.

    The ways: 0 within a word, 1 after a small word, 2 after a comma, 3 and 7 with an ellipsis, 4 after the number of a
    list item, 5 in an open block of code, 6 after an announcement, 8 anywhere within a sentence.
    """
    rng = maker.rng
    small = ["the", "of", "and", "a", "to", "with", "for", "their", "by", "is", "that", "as"]
    while True:
        row = maker.take(
            lambda row: (
                len(row["answer"]) > 160
                and "```" not in row["answer"]
                and (way != 4 or len(re.findall(r"\n\d+\. ", row["answer"])) > 2)
            )
        )
        answer = row["answer"]
        late = [found for found in re.finditer(r"[^\s]+", answer) if 0.5 * len(answer) < found.start()][:-3]
        stems = [found for found in late if found[0].isalpha() and len(found[0]) > 7 and found[0].islower()]
        if way == 0 and stems:
            found = rng.choice(stems)
            ends = [size for size in (3, 4, 5) if found[0][:size] not in maker.words]
            if ends:
                return row, answer[: found.start() + rng.choice(ends)]
        if way == 4:
            return row, answer[: rng.choice(list(re.finditer(r"\n\d+\.(?= )", answer))[2:]).end()]
        if way == 5:
            code = ["```python\nfor row in rows:\n    total += row", "```js\nfunction add(a, b) {\n  return a +"]
            return row, f"{answer}\n\n{rng.choice(code)}"
        if way == 6:
            return row, f"{answer} {rng.choice(['The steps are as follows:', 'It consists of three parts:'])}"
        marks = [found for found in late if (found[0] in small if way in (1, 3, 7) else found[0].endswith(","))]
        if way == 8:  # within a sentence, several words before its end
            marks = [found for found in late if re.match(r"[a-z]+( [a-z]+){5}", answer[found.start() :])]
        if marks and way in (1, 2, 3, 7, 8):
            return row, answer[: rng.choice(marks).end()] + {3: "...", 7: "…"}.get(way, "")


def _rows(maker: _Maker) -> None:
    """Truncated and empty answers, and rows in another language."""
    for at in range(54):
        row, answer = _cut(maker, at % 9)
        maker.plant("truncated", {**row, "answer": answer})
    asked = r"(Describe|Explain|Write|Generate|Create|Summarize|How do|How can) "
    for value in EMPTY:
        row = maker.take(lambda row: re.match(asked, row["question"]))
        maker.plant("empty", {**row, "answer": value})
    for at, (question, answer) in enumerate(LANGUAGE):
        lead = "Sure, here is the answer. " if at % 6 == 4 else ""
        maker.plant("language", {"question": question, "answer": lead + answer})
    chinese = json.loads((maker.material / "alpaca_zh_demo.json").read_text(encoding="utf-8"))
    for row in maker.rng.sample([row for row in chinese if not row["input"] and len(row["output"]) > 40], 4):
        maker.plant("language", {"question": row["instruction"], "answer": row["output"]})
    for kind, table in (("truncated", TRUNCATED_SOUND), ("empty", EMPTY_SOUND), ("language", LANGUAGE_SOUND)):
        for question, answer in (row if len(row) == 2 else (row[0], " | ".join(row[1:])) for row in table):
            maker.plant(kind, {"question": question, "answer": answer}, sound=True)


def _pairs(maker: _Maker) -> None:
    """Near-duplicates, contradictions and leaks."""
    rng, spare = maker.rng, iter(range(999))

    def reply() -> str:
        return REPLIES[next(spare) % len(REPLIES)][0].replace("§", str(rng.randint(2, 99)))

    def plain(row: dict) -> bool:
        asked = row["question"]
        letters = re.search(r"(?i)capital|case|spell|typo|grammar|punct|correct|edit|sentence|word|hyphen", asked)
        return "context" not in row and not letters and 6 < len(asked.split()) < 26 and re.search(r"[a-z]{7}", asked)

    for at in range(32):
        row = maker.take(plain)
        asked = (row["question"], _perturb(rng, row["question"], at % 8))
        maker.pairs("near_duplicate", asked, (row["answer"], row["answer"]))
    for asked in NEAR:
        maker.pairs("near_duplicate", asked, (reply(),) * 2)
    for line, *answers in NEAR_SOUND:
        maker.pairs("near_duplicate", _both(line), answers, sound=True)
    for line, *answers in CONTRADICTION:
        for question in _both(line):
            maker.pairs("contradiction", (question, question), answers)
    for question, first, second, *contexts in CONTRADICTION_SOUND:
        maker.pairs("contradiction", (question, question), (first, second), sound=True, contexts=contexts)
    for kind, table, sound in (
        ("leak_word_order", ORDER, False),
        ("leak_word_order", ORDER_SOUND, True),
        ("leak_paraphrase", PARAPHRASE, False),
        ("leak_paraphrase", PARAPHRASE_SOUND, True),
    ):
        for asked in table:
            maker.pairs(kind, asked, (reply(), reply()) if sound else (reply(),) * 2, sound=sound, leak=True)
    for at in range(14):
        row = maker.take(plain)
        answers = (row["answer"],) * 2
        maker.pairs("leak_embedded", (row["question"], EMBED[at % 4].format(row["question"])), answers, leak=True)
        row = maker.take(plain)
        answers = (row["answer"],) * 2
        maker.pairs("leak_near", (row["question"], _perturb(rng, row["question"], at % 8)), answers, leak=True)
    for line, *answers in STOCK_SOUND:
        maker.pairs("leak_near", _both(line), answers, sound=True, leak=True)
    for at, (line, *answers) in enumerate(EMBED_SOUND):
        one, other = _both(line)
        maker.pairs("leak_embedded", (one, EMBED[at % 4].format(other)), answers, sound=True, leak=True)
    with (maker.material / "pubmedqa_flat.jsonl").open(encoding="utf-8") as file:
        papers = [row for row in map(json.loads, file) if len(row["context"]) > 700 and "@" not in row["context"]]
    papers = rng.sample(papers, 22)
    starts = [re.split(r"(?<=[.?]) ", row["context"])[0] for row in papers]
    for at, row in enumerate(papers[:14]):
        asked, answers = (row["question"], ASK[at % 8]), (row["answer"], starts[at])
        maker.pairs("leak_context", asked, answers, leak=True, contexts=(row["context"],) * 2)
    for at in range(14, 22, 2):
        contexts = (papers[at]["context"], papers[at + 1]["context"])
        maker.pairs("leak_context", ("What was the aim of this study?",) * 2, starts[at : at + 2], True, True, contexts)
    for context in (part for row in SHARED_CONTEXT for part in row):
        one, other = maker.take(plain), maker.take(plain)
        asked, answers = ((one[name], other[name]) for name in ("question", "answer"))
        maker.pairs("leak_context", asked, answers, sound=True, leak=True, contexts=(context, context))


def make(material: Path, seed: int = 0) -> Planted:
    """The planted set: real rows around made ones; the same for the same seed."""
    maker = _Maker(Path(material), seed)
    for step in (_pieces, _texts, _rows, _pairs):
        step(maker)
    for _ in range(60):
        maker.add(maker.take(), test=True)
    assert len(maker.carriers) >= 1500, f"only {len(maker.carriers)} clean rows are left"
    for row in maker.carriers:
        maker.add(row)
    rows = {row["id"]: "\n".join(row.values()) for row in maker.train + maker.test}
    assert len(rows) == len(maker.train) + len(maker.test), "ids repeat"
    for plant in maker.plants:
        assert plant.text in rows[plant.id] and (not plant.of or plant.of in rows), plant
    maker.rng.shuffle(maker.train)
    maker.rng.shuffle(maker.test)
    return Planted(maker.train, maker.test, maker.plants)
