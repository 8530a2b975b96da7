"""A held-out set of planted defects for the cleaner, written without sight of its detectors.

The tables below hold templates, never finished tokens. In a template

- `⟦...⟧` marks the piece that must go (or, in a look-alike, the piece that must stay),
- `⏎` is a line break and `¦` parts the cells of a table,
- `{A36}` stands for 36 random characters of an alphabet of `_ALPHABETS`, `{p1}` for a password, `{u1}` for a UUID,
  `{C36}` for characters that end in their CRC-32, `{J1}` for a signed JWT and `{P6}` for six lines of key material,
- `%%` in a frame is where a value goes.

The surroundings are real rows; rows that carry a plant were chosen for holding nothing else that could be found.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
import string
import uuid
import zlib
from pathlib import Path
from typing import NamedTuple


class Plant(NamedTuple):
    """One planted defect, or a look-alike that is sound and must be left alone."""

    id: str  # of the row that carries it
    kind: str
    text: str  # the exact piece that must go (html: one telltale tag or entity), or "" for kinds about whole rows
    clean: str = ""  # mojibake, html: what must stand in the row instead
    of: str = ""  # near_duplicate, contradiction, leaks: id of the other row
    sound: bool = False  # a look-alike: nothing may be found or changed here


class Planted(NamedTuple):
    """The rows to clean, the frozen test rows, and what was planted."""

    train: list[dict]
    test: list[dict]
    plants: list[Plant]


_ALNUM = string.ascii_letters + string.digits
_ALPHABETS = {
    "A": _ALNUM,
    "a": string.ascii_lowercase + string.digits,
    "U": string.ascii_uppercase + string.digits,
    "L": string.ascii_uppercase,
    "l": string.ascii_letters,
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "d": string.digits,
    "n": "23456789",
    "b": _ALNUM + "-_",
    "B": _ALNUM + "+/",
    "q": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}

_SECRET = r"""
export DIGITALOCEAN_TOKEN=⟦dop_v1_{h64}⟧
HCLOUD_TOKEN="⟦{A64}⟧" ./bin/provision --region fsn1
scaleway:⏎  access_key: SCW{U17}⏎  secret_key: ⟦{u1}⟧
curl --header "PRIVATE-TOKEN: ⟦glpat-{b20}⟧" "https://git.intern.lan/api/v4/projects?per_page=5"
The runner registers with ⟦glrt-{b20}⟧, and after that it shows up green in the admin area.
git clone https://oauth2:⟦{h40}⟧@codeberg.org/moor/tidal-charts.git
My mate pasted ⟦ghp_{C36}⟧ into the wiki, which is how the deploy key spread.
$ git remote -v⏎origin  https://build-bot:⟦ATBB{A32}⟧@bitbucket.org/nordwerk/cms.git (fetch)
jira:⏎  url: https://nordwerk.atlassian.net⏎  api_token: ⟦ATATT3xFfGF0{b170}={H8}⟧
2024-03-02T07:11:54Z WARN  pipeline[318] retrying with token ⟦bkua_{h40}⟧ (attempt 2 of 5)
circleci setup --token ⟦CCIPAT_{A22}_{h40}⟧ --no-prompt
Alerts go to https://discord.com/api/webhooks/{n1}{d18}/⟦{b68}⟧ for the on-call channel.
webhook_url = https://hooks.slack.com/services/⟦T0{U9}/B0{U9}/{A24}⟧
Then set SLACK_BOT_TOKEN to ⟦xoxb-{n1}{d11}-{n1}{d12}-{A24}⟧ and restart the worker.
Mattermost: POST https://chat.werft.example/hooks/⟦{a26}⟧ with a "text" field
bot = TeleBot("⟦{n1}{d9}:AA{b33}⟧")  # the sauna reminder
https://chat.googleapis.com/v1/spaces/AAAA{A7}/messages?key=⟦AIza{b35}⟧
- restricted key (payments): ⟦rk_live_{A24}⟧
{"event": "invoice.paid", "signing_secret": "⟦whsec_{A32}⟧", "retries": 3}
SQUARE_ACCESS_TOKEN: ⟦EAAA{b60}⟧
mollie.setApiKey('⟦live_{A30}⟧');
The Razorpay panel says key id rzp_live_{A14} and key secret ⟦{A24}⟧, copy both.
SENDGRID_API_KEY=⟦SG.{b22}.{b43}⟧
mailchimp_key: "⟦{h32}-us14⟧"
# brevo.py⏎configuration.api_key['api-key'] = '⟦xkeysib-{h64}-{A16}⟧'
X-Postmark-Server-Token: ⟦{u1}⟧
//registry.npmjs.org/:_authToken=⟦npm_{C36}⟧
[pypi]⏎username = __token__⏎password = ⟦pypi-AgEIcHlwaS5vcmc{b150}⟧
:rubygems_api_key: ⟦rubygems_{h48}⟧
echo ⟦dckr_pat_{b27}⟧ | docker login -u fenwick --password-stdin
dotnet nuget push Moor.Tides.2.1.0.nupkg -k ⟦oy2{a43}⟧ -s https://api.nuget.org/v3/index.json
client = Anthropic(api_key="⟦sk-ant-api03-{b93}AA⟧")
It works with the old key ⟦sk-proj-{b74}T3BlbkFJ{b74}⟧ but not with the new project.
GROQ_API_KEY ⟦gsk_{A52}⟧
login(token='⟦hf_{l34}⟧', add_to_git_credential=True)
replicate: ⟦r8_{A37}⟧ ; xai: see the vault
aws_access_key_id = AKIA{U16}⏎aws_secret_access_key = ⟦{B40}⟧
DefaultEndpointsProtocol=https;AccountName=tidestore;AccountKey=⟦{B86}==⟧;EndpointSuffix=core.windows.net
aliyun configure set --access-key-id ⟦LTAI5t{A18}⟧ --region cn-hangzhou
"client_id": "{d12}-{a32}.apps.googleusercontent.com", "client_secret": "⟦GOCSPX-{b28}⟧"
vault login ⟦hvs.{b90}⟧
credentials "app.terraform.io" {⏎  token = "⟦{A14}.atlasv1.{b60}⟧"⏎}
databricks configure --host https://adb-77.azuredatabricks.net --token ⟦dapi{h32}-2⟧
Authorization: Bearer ⟦glsa_{A32}_{h8}⟧
NEW_RELIC_USER_KEY=⟦NRAK-{U27}⟧
https://live.dynatrace.com/api/v2/metrics?Api-Token=⟦dt0c01.{U24}.{U64}⟧
Linear ⟦lin_api_{A40}⟧, Notion ⟦ntn_{A46}⟧, both mine, please rotate
const shopify = new Shopify({ shop: 'hafenladen', accessToken: '⟦shpat_{h32}⟧' });
headers = {"Authorization": "Bearer ⟦pat{A14}.{h64}⟧"}  # Airtable base of the choir
tailscale up --authkey=⟦tskey-auth-{A12}CNTRL-{A32}⟧
# public key: age1 (see README)⏎⟦AGE-SECRET-KEY-1{q58}⟧
DATABASE_URL=postgres://tide_app:⟦{p1}⟧@db-3.intern.lan:5432/tides?sslmode=require
spring.datasource.url=jdbc:mysql://10.4.0.9/shop?user=shop&password=⟦{p1}⟧
mongodb+srv://reader:⟦{p1}⟧@cluster0.qx7.mongodb.net/menus
redis://:⟦{A28}⟧@cache.intern.lan:6379/0
amqps://worker:⟦{p1}⟧@rabbit.intern.lan:5671/%2Fjobs
Server=tcp:sql01.intern.lan,1433;Database=Lager;User ID=sa;Password=⟦{p1}⟧;Encrypt=True;
Try the header Authorization: Basic ⟦{B39}=⟧ and tell me what comes back.
> GET /v2/me HTTP/1.1⏎> Authorization: Bearer ⟦{J1}⟧⏎> Accept: application/json
{"token_type": "bearer", "expires_in": 3599, "access_token": "⟦{b84}⟧", "scope": "read"}
Set-Cookie: session=⟦{J1}⟧; Path=/; HttpOnly
-----BEGIN RSA PRIVATE KEY-----⏎⟦MIIEpAIBAAKCAQEA{P9}⟧⏎-----END RSA PRIVATE KEY-----
-----BEGIN OPENSSH PRIVATE KEY-----⏎⟦b3BlbnNzaC1rZXktdjEA{P6}⟧⏎-----END OPENSSH PRIVATE KEY-----
-----BEGIN PGP PRIVATE KEY BLOCK-----⏎⏎⟦lQOYBG{P8}⟧⏎=Qx1f⏎-----END PGP PRIVATE KEY BLOCK-----
tls.key: |⏎  -----BEGIN EC PRIVATE KEY-----⏎  ⟦MHcCAQEEI{P3}⟧⏎  -----END EC PRIVATE KEY-----
wifi:⏎  ssid: Boathouse⏎  psk: "⟦{p1}⟧"
Use the shared login, user porter, password ⟦{p1}⟧, until IT has made yours.
{"host": "ftp.intern.lan", "user": "scan", "passwd": "⟦{p1}⟧", "passive": true}
smtp_pass=⟦{p1}⟧
mysql -h 10.4.0.12 -u root -p⟦{p1}⟧ lager < dump.sql
sshpass -p '⟦{p1}⟧' scp report.csv scan@10.4.0.7:/in
Agent: your temporary password is ⟦{p1}⟧ and it expires on Friday.
ANSIBLE_VAULT_PASSWORD=⟦{p1}⟧ ansible-playbook site.yml
"""
_SECRET_SOUND = r"""
The regression came in with commit ⟦{h40}⟧, as bisecting shows.
Request id: ⟦{u1}⟧ (please quote it to support).
⟦sha256:{h64}⟧  tides-2.1.0-x86_64.iso
md5sum of the archive is ⟦{h32}⟧.
export OPENAI_API_KEY=⟦YOUR_API_KEY⟧
Authorization: Bearer ⟦<token>⟧
password: ⟦${DB_PASSWORD}⟧
api_key = ⟦os.environ["GROQ_API_KEY"]⟧
The form shows ⟦********⟧ in place of the password.
secret: ⟦{{ vault_smtp_secret }}⟧
token: ⟦the smallest unit of text⟧ that a parser hands on.
Password: ⟦must have at least 8 characters⟧, one of them a digit.
![dot](data:image/png;base64,⟦iVBORw0KGgo{B80}⟧)
The integrity attribute reads ⟦sha384-{B64}⟧.
.btn-secret { color: ⟦#3fa9c4⟧; token-gap: 4px; }
Call ⟦TransactionAwarePersistenceManagerFactoryProxyBeanDefinitionBuilder⟧ once at start-up.
The primary key of the table is ⟦customer_order_item_warehouse_id⟧, and the secret of speed is an index on it.
mysql://⟦user:password@localhost⟧/db is the shape of such an address.
ssh-ed25519 ⟦AAAAC3NzaC1lZDI1NTE5AAAAI{B43}⟧ is the public half.
The etag was ⟦"{h32}"⟧ before and after.
Set client_secret to ⟦xxxxxxxxxxxxxxxxxxxx⟧ as in the sample.
Image: registry.intern.lan/tides@⟦sha256:{h64}⟧
-----BEGIN CERTIFICATE-----⏎⟦MIIDdzCC{P4}⟧⏎-----END CERTIFICATE-----
password: ⟦changes every 90 days⟧ under the old policy.
git show ⟦{h12}⟧ --stat
pass=⟦true⟧, fail=false, skipped=0
Access tokens are ⟦short-lived strings that an authorisation server issues⟧ to a client.
password = ⟦getpass.getpass("Password: ")⟧
Bearer ⟦bonds were popular with depositors⟧ in the 1970s.
AWS_SECRET_ACCESS_KEY=⟦<redacted>⟧
Correlation-Id: ⟦01{U24}⟧
"""
_CARD_TYPES = """
4 16 ¦ 51 16 ¦ 55 16 ¦ 2221 16 ¦ 2720 16 ¦ 34 15 ¦ 37 15 ¦ 6011 16 ¦ 65 16 ¦ 3528 16 ¦ 36 14 ¦ 6221 16 ¦ 2200 16 ¦ 4 16
"""
_CARD_FRAMES = """
Caller read out %% twice, then hung up. ¦ {"pan": "%%", "exp": "09/27"} ¦ Visa or not, %% was declined. ¦ - %%
Card no.: %%, valid thru 04/28 ¦ 14:02 <guest> ok so its %% cvv on the back ¦ %% is on file, remove it on request.
PAYMENT;EUR;18,90;%%;OK ¦ We could not bill the card %%. ¦ [POS-4] auth ok pan=%% amt=3200 ¦ | Ferreira | %% | paid |
Kreditkarte %% ¦ charge(number="%%", month=7) ¦ Please book two nights for us, the number is %% and the name Okafor.
"""
_CARD_SOUND = """
Order number ⟦4{d15}⟧ left the warehouse. ¦ Your parcel ⟦1Z{U6}{d10}⟧ is in Leeds. ¦ FedEx ⟦7{d3} {d4} {d4} {d3}⟧
!ISBN ⟦978-0-{d6}-{d2}-{d1}⟧, second edition ¦ !EAN ⟦50{d11}⟧ on the box ¦ !IMEI: ⟦{I15}⟧ (press *#06#)
"ts_us": ⟦17{d14}⟧, "host": "n4" ¦ The tweet with id ⟦12{d17}⟧ is gone. ¦ Ticket ⟦{d4}-{d4}-{d4}-{d4}⟧ is closed.
x = [⟦{n1}{d3}, {n1}{d3}, {n1}{d3}, {n1}{d3}⟧] are the counts. ¦ Quarter sums: ⟦{n1}{d3} {n1}{d3} {n1}{d3} {n1}{d3}⟧
Pi begins ⟦3.14159265358979323⟧ and never ends. ¦ See arXiv:⟦2310.{d5}⟧v3 for the proof. ¦ !SIM (ICCID) ⟦89{I17}⟧
SSCC ⟦00{d16}⟧ on the pallet label ¦ Meter point ⟦{n1}{d12}⟧ was read in May. ¦ Card ending in ⟦{d4}⟧ was charged.
The card **** **** **** ⟦{d4}⟧ has expired. ¦ Test with ⟦4000-XXXX-XXXX-0000⟧ as a pattern only.
!IMEISV and IMEI ⟦35{I13}⟧ of the stolen phone ¦ Batch ⟦2024{d12}⟧ passed inspection.
Weights ⟦0.{d16}⟧ and bias zero ¦ Claim ref. ⟦5{d3} {d4} {d4} {d4}⟧ is with the adjuster.
Job ⟦6{d15}⟧ finished in 4 s. ¦ The sequence number was ⟦37{d13}⟧ at the drop. ¦ Serial ⟦36{d12}⟧, made in Brno
The primes near ⟦1000000000000037⟧ are sparse. ¦ Invoice ⟦55{d2}/{d4}/{d4}/{d4}⟧ is open. ¦ Epoch ms ⟦1709{d9}⟧
"""
_IBAN_TYPES = """
DE {d18} ¦ FR {d10}{U11}{d2} ¦ GB {L4}{d14} ¦ NL {L4}{d10} ¦ BE {d12} ¦ AT {d16} ¦ CH {d5}{U12} ¦ ES {d20} ¦ PL {d24}
IT {L1}{d10}{U12} ¦ SE {d20} ¦ NO {d11} ¦ DK {d14} ¦ FI {d14} ¦ PT {d21} ¦ IE {L4}{d14} ¦ CZ {d20} ¦ HU {d24}
RO {L4}{U16} ¦ GR {d7}{U16} ¦ TR {d5}0{U16} ¦ SA {d2}{U18} ¦ AE {d19} ¦ IL {d19} ¦ MT {L4}{d5}{U18} ¦ LU {d3}{U13}
EE {d16} ¦ LV {L4}{U13} ¦ LT {d16} ¦ HR {d17} ¦ BG {L4}{d6}{U8} ¦ BR {d23}{L1}{U1} ¦ PK {L4}{U16} ¦ KZ {d3}{U13}
UA {d6}{U19} ¦ QA {L4}{U21} ¦ SK {d20} ¦ SI {d15} ¦ IS {d22} ¦ CY {d8}{U16} ¦ GE {L2}{d16} ¦ RS {d18}
"""
_IBAN_FRAMES = """
IBAN: %% ¦ Please pay the rest to %% by the 14th. ¦ {"creditor": "Ruderverein", "iban": "%%"} ¦ account=%% ccy=EUR
| rent | %% | monthly | ¦ 09:41 Leila: mine is %% thx ¦ The refund went to %%, not to the card. ¦ %% (joint account)
Bankverbindung %%, BIC on request ¦ <- direct debit from %% returned, reason AM04 ¦ Send it to %%. ¦ * %%
"""
_IBAN_SOUND = """
VAT ID ⟦DE{d9}⟧ ¦ VAT number ⟦ATU{d8}⟧ is valid. ¦ IBAN ⟦DE{d2} {d4} {d4} {d4} {d4} {d2}⟧ was rejected: check digits.
IBAN ⟦GB{d2}{L4}{d14}⟧ has a typing error. ¦ The pattern is ⟦DEkk bbbb bbbb cccc cccc cc⟧. ¦ BIC ⟦{L4}DEFF{U3}⟧
Paid from ⟦DE** **** **** **** **{d2} {d2}⟧ as shown. ¦ ISIN ⟦US{d10}⟧ rose. ¦ LEI ⟦{d4}00{U12}{d2}⟧ lapses in May.
ISRC ⟦GBAYE06{d5}⟧ ¦ Container ⟦MSCU {d6} {d1}⟧ is on deck. ¦ VIN ⟦WDB{d7}A{d6}⟧ ¦ Chassis ⟦VF1{L5}{d9}⟧
Creditor identifier ⟦DE{d2}ZZZ0{d10}⟧ ¦ EORI ⟦GB{d12}⟧ for imports ¦ Passport line ⟦P<UTOERIKSSON<<ANNA<MARIA⟧
Part ⟦NO{d2} {d4} {d3}⟧ fits the older pump. ¦ Parcel ⟦RR{d9}GB⟧ is delayed. ¦ Item ⟦CH{d2}-{d4}-{d4}⟧ is sold out.
Licence ⟦MT{d2} {L4} {d5}⟧ belongs to a van. ¦ Sort code ⟦{d2}-{d2}-{d2}⟧, branch in Hull ¦ Flight ⟦BE{d4}⟧ to Ghent
Mandate ⟦SE{d2}-{d4}-{d4}-{d4}⟧ is signed. ¦ Lot ⟦FR{d6}{L2}⟧ was recalled. ¦ UKPRN ⟦{d8}⟧ of the college
Too short: ⟦FR{d2} {d4} {d4} {d4} {d4}⟧ cannot be an account. ¦ Course code ⟦IT{d4}-{L2}⟧ ¦ Steel ⟦S355J2 EN10025⟧ is
  fine.
"""
_EMAIL = """
marit.haugen@fjordkart.no ¦ t.okonkwo+billing@lagosbytes.com.ng ¦ help@support.eu.kestrel-hosting.co.uk ¦ x9@qr.io
mailto:archiv@stadtmuseum-brno.cz ¦ <p.delacroix@u-lyon9.fr> ¦ jörg@bäckerei-müller.de ¦ почта@метеобюро.рф
o'brien@dunmore-ferries.ie ¦ first_last99@sub.dept.uni-kielholm.de ¦ ANNA.KOWALSKA@POCZTA-WAWA.PL ¦ h.sato@kumo.co.jp
marit [at] fjordkart [dot] no ¦ p.oduya(at)lagosbytes.com.ng ¦ info AT hafenamt DOT de ¦ kontakt {at} skanzen {dot} cz
jsmith_at_quarrymail_dot_com ¦ sales(a)ostwind-segel.de ¦ lena at moorhof dot org ¦ r.diaz @ correolibre.mx
nguyen.thi.hoa@truonghoc.edu.vn ¦ bounce-7741-aa=b@mailer.oslotog.no ¦ webmaster@museum.travel ¦ ops@10mins.dev
c.fernández@correolibre.es ¦ editor@the-tidal-review.press ¦ d.w.j@cantab.quarrymail.net ¦ dev%2Btest%40kumo.co.jp
no-reply@notify.banco-litoral.pt ¦ zhang.wei1987@163mail.cn ¦ ticket+55120@desk.werft-nord.com ¦ k@ö-netz.at
ivana&#64;skanzen.cz ¦ fatima.alz@sahara-tours.ma ¦ secretariaat@ziekenhuis-delta.nl ¦ m-l.roux@mairie-saintes.fr
raj_k.2@infowave.co.in ¦ team-lead@a.b.c.d.intranet.fi ¦ gudrun@bókasafn.is ¦ joao.s@litoral.com.br ¦ qa@kumo.technology
luis[@]correolibre.mx ¦ erik(dot)berg(at)oslotog(dot)no ¦ tapio＠metsäkirja.fi ¦ 42@deepwell.space ¦ aa.bb@cc-dd.ee
"""
_EMAIL_FRAMES = """
Write to %% and quote the case number. ¦ From: %% ¦ {"user": 318, "contact": "%%"} ¦ Ask my supervisor (%%) first.
1. %%⏎2. the front desk ¦ cc %%; the secretary ¦ %% answered within a day. ¦ Corresponding author: %%, Ward 4.
11:20 <guest> whats the adress?? 11:21 <op> %% ¦ reply-to=%% dkim=pass ¦ | Kühne | %% | active | ¦ Contact: %%
"""
_EMAIL_SOUND = """
Thanks go to ⟦@marit_haugen⟧ for the patch. ¦ Put ⟦@app.route("/tides")⟧ above the function. ¦ Log in:
  ⟦porter@boathouse:~$⟧ ls
npm install ⟦@tides/charts@2.1.0⟧ does it. ¦ Pin ⟦lodash@4.17.21⟧ in the lock file. ¦ The product ⟦A@B⟧ is a matrix.
In NumPy ⟦x@w.T⟧ multiplies matrices. ¦ Five apples ⟦@ 30p⟧ each make 1.50. ¦ Meet ⟦@ 7.30 p.m.⟧ at the pier.
⟦@media (max-width: 600px)⟧ hides the menu. ¦ ⟦@Override public String toString()⟧ comes first. ¦ Use ⟦uses:
  actions/checkout@v4⟧
The ⟦@param name⟧ line is for Javadoc. ¦ Reply to ⟦@kestrel.hosting⟧ on the photo site. ¦ Sampled ⟦@44.1kHz⟧ in stereo
Query ⟦SELECT @total := 0;⟧ resets it. ¦ ⟦root@db3⟧ was the prompt. ¦ ⟦user@host⟧ is the shape ssh wants.
Look ⟦at home dot matrix printers⟧ were loud. ¦ The ⟦at (@) sign⟧ is old. ¦ Set it ⟦at org level⟧ or at team level.
⟦@property⟧ makes it read-only. ¦ gem "rails", ⟦"~> 7.1" # @stable⟧ ¦ In Ruby ⟦@count.zero?⟧ is true. ¦ ⟦img@2x.png⟧ is
  for dense screens.
A fit of ⟦p@k = 0.82⟧ was best. ¦ docker pull ⟦alpine@sha256⟧ and the digest ¦ ⟦$user@{0}⟧ is reflog-like. ¦ ⟦HEAD@{2}⟧
  was right.
"""
_PHONE = """
({n1}12) 4{d2}-{d4} ¦ {n1}12-5{d2}-{d4} ¦ +1 {n1}12 4{d2} {d4} ¦ 1-800-4{d2}-{d4} ¦ {n1}12.6{d2}.{d4} ¦
  {n1}12-4{d2}-{d4} x{d3}
020 7{d3} {d4} ¦ +44 (0)161 4{d2} {d4} ¦ 07{n1}11 {d6} ¦ 0131 5{d2} {d4} ext. {d2} ¦ +447911{d6} ¦ (01224) {n1}{d5}
030 / {n1}{d7} ¦ 089-{n1}{d6}-{d2} ¦ +49 171 {n1}{d6} ¦ (0221) {n1}{d2} {d2} {d2} ¦ 0049 40 {n1}{d3} {d3} ¦
  01512/{n1}{d6}
+49 (0) 7071 {n1}{d4}-0 ¦ 01 42 {n1}{d1} {d2} {d2} ¦ 06.{n1}{d1}.{d2}.{d2}.{d2} ¦ +33 4 78 {d2} {d2} {d2} ¦ +33(0)6
  {n1}{d1} {d2} {d2} {d2}
+41 44 {n1}{d2} {d2} {d2} ¦ +43 1 {n1}{d6} ¦ +39 06 {n1}{d3} {d4} ¦ +34 91{d1} {d3} {d3} ¦ +31 20 {n1}{d2} {d4} ¦ 0800
  0{d2} {d4}
+32 2 {n1}{d2} {d2} {d2} ¦ +46 8-{n1}{d2} {d3} {d2} ¦ +47 22 {d2} {d2} {d2} ¦ +48 22 {n1}{d2} {d2} {d2} ¦ +420 2{d2}
  {d3} {d3}
+7 495 {n1}{d2}-{d2}-{d2} ¦ +81-3-{n1}{d3}-{d4} ¦ +86 138 {d4} {d4} ¦ +91 98{d3} {d5} ¦ +55 (11) 9{d4}-{d4} ¦ +61 2
  9{d3} {d4}
+27 21 4{d2} {d4} ¦ +234 803 {d3} {d4} ¦ +971 4 3{d2} {d4} ¦ +90 (212) {n1}{d2} {d2} {d2} ¦ +353 1 6{d2} {d4} ¦ +52 55
  5{d3} {d4}
"""
_PHONE_FRAMES = """
Ring %% after six. ¦ Tel.: %% ¦ {"name": "Reception", "tel": "%%"} ¦ [Call the harbour](tel:%%) ¦ Mobile %%, no texts.
Fax %% (still works) ¦ 10:15 <vera> just call me, %% ¦ | Ward 4 | %% | nights | ¦ WhatsApp: %% ¦ If it smokes, phone %%
  at once.
* %% (emergency) ¦ Regards⏎Tomasz⏎T %%
"""
_PHONE_SOUND = """
He served from ⟦1998-2004⟧ abroad. ¦ OR 2.31 (95% CI ⟦1.204-4.437⟧) ¦ doi:⟦10.1016/j.jhin.2014.07.0{d2}⟧ ¦ P =
  ⟦0.000{d4}⟧
On ⟦2019-11-30 17:45:09⟧ it froze. ¦ At ⟦52.520008, 13.404954⟧ stands a tower. ¦ It costs ⟦$1,249,900.00⟧ new. ¦ Build
  ⟦10.0.19045.3930⟧
Part ⟦330-4471-0{d2}⟧ is a gasket. ¦ Ping ⟦192.168.100.201⟧ first. ¦ ISSN ⟦0028-0836⟧ ¦ pp. ⟦1142-1157⟧ of the volume
The score was ⟦21-14, 18-21, 21-19⟧. ¦ Mean ⟦127.{d4}⟧ (SD 14.{d4}) ¦ Hash ⟦{h8}{d8}⟧ ¦ NCT⟦0{d7}⟧ is the trial. ¦ PMID:
  ⟦2{d7}⟧
ISBN ⟦0-306-40615-2⟧ ¦ Grades ran ⟦85 92 78 88 95 91⟧ that term. ¦ Solve ⟦(415) + (220) - (310)⟧ by hand. ¦ CAS
  ⟦7732-18-5⟧ is water.
Between ⟦09:00 - 17:30⟧ it is open. ¦ The years ⟦1914-1918 and 1939-1945⟧ ¦ Error ⟦0x80070643⟧ ¦ Case ⟦2021-048-{d5}⟧ is
  closed.
Population ⟦+1 204 500⟧ in ten years ¦ Voltage ⟦+12 -12 +5 +3.3⟧ ¦ ⟦555 000 000⟧ people ¦ Bus lines ⟦100, 200, 300 and
  247⟧ stop.
Ratio ⟦1.618033988749⟧ ¦ ZIP ⟦60614-{d4}⟧ ¦ Tax year ⟦2022/2023⟧ ended. ¦ In binary it is ⟦0100 1101 0110⟧. ¦ RFC ⟦2616,
  7230-7235⟧
"""
_CODECS = [
    "latin-1",
    "cp1252",
    "cp1252*2",
    "mac_roman",
    "cp437",
    "cp1250",
    "cp850",
    "iso8859-2",
    "cp1251",
    "cp1254",
    "latin-1*2",
    "cp1252*3",
]
_MOJIBAKE = """
The ⟦Café Brûlée⟧ opens at eight. ¦ Her name is ⟦Zoë Núñez⟧, not Zoe. ¦ They met in ⟦Düsseldorf⟧ last year. ¦ ⟦It’s⟧
  late anyway.
He said ⟦“never again”⟧ and left. ¦ It was ⟦25 °C⟧ in the shade. ¦ A fee of ⟦€40⟧ applies. ¦ Pages ⟦12–19⟧ are missing.
The sign reads ⟦Выход⟧ in red. ¦ Thanks a lot ⟦🙂👍⟧ to all! ¦ ⟦Łódź⟧ lies west of Warsaw. ¦ Add ⟦½ cup⟧ of milk. ¦
  ⟦Señor Peña⟧ agreed.
It is ⟦naïve⟧ to think so. ¦ The film ⟦Amélie⟧ made her known. ¦ We flew to ⟦Malmö⟧ and ⟦Århus⟧ by seaplane. ¦ ⟦Škoda⟧
  builds cars.
Wait ⟦… what⟧ happened? ¦ The road to ⟦São João⟧ is closed. ¦ ⟦Köln⟧ and ⟦Nîmes⟧ are twinned. ¦ ⟦Ελλάδα⟧ is what Greeks
  call it. ¦ Use ⟦5 µm⟧ filters.
Brand ⟦Lumo™⟧ is gone. ¦ ⟦Dvořák⟧ wrote it. ¦ ⟦İzmir⟧ is on the coast. ¦ ⟦東京⟧ means eastern capital. ¦ A ⟦± 3 mm⟧ gap
  is fine.
"""
_RETYPED = """
mac_roman ⟦Zürich⟧ has good trams. ¦ mac_roman The ⟦crème fraîche⟧ goes in last. ¦ cp437 ⟦Malmö⟧ is in the south.
cp1251 The ⟦résumé⟧ was short. ¦ cp850 ⟦Besançon⟧ makes watches. ¦ cp1253 ⟦Gérard Lefèvre⟧ signed it.
"""
_MOJIBAKE_SOUND = """
The map says ⟦SÃO PAULO⟧ in capitals. ¦ ⟦AVALIAÇÃO⟧ stands on the form. ¦ ⟦Âu Cơ⟧ is a fairy of legend. ¦ ⟦NGÃ TƯ SỞ⟧ is
  a crossing.
⟦ROMÂNIA⟧ uses Â inside words. ¦ ⟦CÂMARA⟧ and ⟦MÃE⟧ are written so. ¦ In French ⟦« l’Âge d’or »⟧ is a film. ¦ ⟦À la
  carte⟧ is dearer.
For ⟦α ≤ β ≠ ∞⟧ it holds. ¦ ⟦€ 5, £ 4 or ¥ 700⟧ ¦ ⟦© 2021 Lumo® and Vanto™⟧ ¦ ⟦¿Qué hora es?⟧ asks the time. ¦ ⟦½ and ¾⟧
  are fractions.
⟦Œuvre⟧ means work. ¦ Well done ⟦👏🏽🎉⟧! ¦ ⟦Þingvellir⟧ is a park. ¦ ⟦Ångström⟧ was a Swede. ¦ A box: ⟦┌──┐│x │└──┘⟧ ¦
  The root ⟦√2 ≈ 1.414⟧
⟦m² and m³⟧ are units. ¦ See ⟦§ 3 ¶ 2 †⟧ there. ¦ ⟦/ˈkæfeɪ/⟧ is how one says it. ¦ ⟦ΑΒΓ⟧ begins it. ¦ The ⟦1º and 2ª⟧ of
  May ¦ ⟦Škofja Loka⟧ is old.
⟦Ã and Õ⟧ are nasal vowels. ¦ ⟦Ж and Я⟧ are letters. ¦ ⟦10 µA ± 2 %⟧ ¦ ⟦“Don’t – ever – stop…”⟧ she wrote. ¦ ⟦IRMÃ⟧ is
  sister.
"""
_HTML = r"""
Press ⟦<b>⟧Start</b> and wait. => Press Start and wait.
Open ⟦<a href="/kb/114" target="_blank">⟧the manual</a> first. => the manual
Salt ⟦&amp;⟧ pepper go in now. => Salt & pepper go in now.
First, unplug it.⟦<br />⟧Then wait a minute. => Then wait a minute.
⟦<p>⟧Your ticket has been closed.</p> => Your ticket has been closed.
He wrote ⟦&quot;⟧yes&quot; twice. => He wrote "yes" twice.
Fish ⟦&amp;amp;⟧ chips cost 9 pounds. => Fish & chips cost 9 pounds.
The price⟦&nbsp;⟧rose again. => rose again.
⟦<ul>⟧<li>two eggs</li><li>some flour</li></ul> => some flour
⟦<table border="1">⟧<tr><td>Depth</td><td>12 m</td></tr></table> => 12 m
It is ⟦<span style="color:#c00;font-size:11pt">⟧not covered</span> by the plan. => It is not covered by the plan.
⟦<div class="reply">⟧<div class="inner">Try the other port.</div></div> => Try the other port.
Keep it dry ⟦<!-- edited by mod -->⟧and cool. => and cool.
⟦&lt;p&gt;⟧Please restart the router.&lt;/p&gt; => Please restart the router.
The caf⟦&eacute;⟧ is shut. => The café is shut.
Turn left⟦&#8212;⟧then right. => Turn left—then right.
It⟦&#39;⟧s the third one. => It's the third one.
It⟦&#x2019;⟧s raining in Bergen. => It’s raining in Bergen.
⟦<font face="Arial">⟧Dear customer,</font> => Dear customer,
Never mix the two ⟦<i>⟧ever</i>. => Never mix the two ever.
⟦<img src="cid:logo.gif" width="1">⟧Kind regards from the team. => Kind regards from the team.
See step 4⟦<sup>⟧a</sup> below. => See step 4
⟦<h3>⟧Opening hours</h3> => Opening hours
Weekdays only.⟦</p>⟧ => Weekdays only.
⟦<blockquote>⟧It will rain.</blockquote> It did. => It did.
⟦<strong>⟧Note:<strong> bring a towel. => bring a towel.
Wear gloves⟦<br>⟧<br><BR/>and goggles. => and goggles.
⟦<P ALIGN=CENTER>⟧The pool is closed.</P> => The pool is closed.
⟦<style>⟧p {margin:0}</style>The lift is out of order. => The lift is out of order.
⟦<script>⟧track('kb');</script>Bring your own cup. => Bring your own cup.
Heat to 80⟦&deg;⟧C slowly. => Heat to 80°C slowly.
He paid ⟦&euro;⟧30 in cash. => He paid €30 in cash.
x ⟦&le;⟧ 5 must hold. => x ≤ 5 must hold.
⟦<ol start="3">⟧<li>Drain the tank</ol> => Drain the tank
⟦<em>⟧Really, <u>really</em></u> dry it. => Really, really dry it.
A gull⟦&rsquo;⟧s egg is speckled. => A gull’s egg is speckled.
⟦<o:p>⟧</o:p>Please find the form attached. => Please find the form attached.
⟦<center>⟧Members only</center> => Members only
Read it⟦<wbr>⟧ once more. => Read it once more.
⟦<iframe src="//v.example/e/9" allowfullscreen>⟧</iframe>That was the clip. => That was the clip.
The name is Mu⟦&ntilde;⟧oz. => The name is Muñoz.
⟦<label for="q">⟧Your question</label> => Your question
The tide turns ⟦<a href='https://tides.example/?a=1&amp;b=2'>⟧at noon</a>. => The tide turns at noon.
Lift it ⟦<br/⟧ with two people. => with two people.
"""
_HTML_SOUND = r"""
How do I make text bold in HTML? ¦ Wrap it: ⟦<strong>important</strong>⟧
Write an HTML list of two fruits. ¦ ⟦<ul>⏎  <li>Plum</li>⏎  <li>Fig</li>⏎</ul>⟧
What is the entity for an ampersand in HTML? ¦ Write ⟦&amp;⟧ in the source.
Show an HTML form with one field. ¦ ```html⏎⟦<form action="/s">⏎  <input name="q">⏎</form>⟧⏎```
Which Java type holds a list of strings? ¦ Use ⟦List<String>⟧ from java.util.
How do I declare a map of vectors in C++? ¦ ⟦std::map<int, std::vector<double>> m;⟧
When does a list count as sorted? ¦ When ⟦a < b⟧ holds for every neighbouring pair, and never b > a reversed.
How do I clone a repository? ¦ Run ⟦git clone <url> <directory>⟧ in a shell.
How is a sender written in a mail header? ¦ As a name and an address: ⟦Marit Haugen <address>⟧.
How do I set the log level in log4j? ¦ ⟦<Configuration>⏎  <Root level="warn"/>⏎</Configuration>⟧
Where is the project's site? ¦ See ⟦<https://tides.example/docs>⟧ in the README.
Typeset a conditional mean in LaTeX. ¦ ⟦$\langle x \mid y < 0 \rangle$⟧
Write a loop in Python that sums even numbers. ¦ ⟦total = 0⏎for n in range(10):⏎    if n % 2 == 0 and n <
  9:⏎        total += n⟧
How do I include a header in C? ¦ ⟦#include <stdio.h>⟧ at the top.
What does the shift operator look like? ¦ ⟦y = x << 3 >> 1⟧
How do I send a file to standard input? ¦ ⟦sort < names.txt > sorted.txt⟧
How is a generic function written in TypeScript? ¦ ⟦function first<T>(a: T[]): T { return a[0]; }⟧
What does a React component return? ¦ For instance ⟦return <Button onClick={go}>Go</Button>;⟧
Which CSS selector takes direct children? ¦ ⟦nav > a { color: teal; }⟧
Give the SVG of a circle. ¦ ⟦<svg width="9" height="9"><circle cx="4" cy="4" r="3"/></svg>⟧
How is a comment written in XML? ¦ ⟦<!-- like this -->⟧
What is a heart in old chat style? ¦ It is ⟦<3⟧ turned on its side.
How do I set a title and a line break in a page? ¦ ⟦<title>Tides</title>⟧ in the head, and ⟦<br>⟧ in the body.
Which operator compares in PHP three ways? ¦ ⟦$a <=> $b⟧
How do I escape a less-than sign in XHTML? ¦ Use ⟦&lt;⟧ and never the bare sign.
Add a Maven dependency on JUnit. ¦ ⟦<dependency>⏎  <groupId>junit</groupId>⏎  <scope>test</scope>⏎</dependency>⟧
How do I join conditions in a shell? ¦ ⟦make && ./run &⟧ starts it in the background.
Write a Jinja loop over rows. ¦ ⟦{% for r in rows %}<td>{{ r }}</td>{% endfor %}⟧
"""
_TRUNCATED = r"""
List the tools for laying a patio. ¦ You need these:⏎1. A spade⏎2. A rubber mallet⏎3. A spirit level⏎4.
How do I bleed a radiator? ¦ Turn the heating off. Hold a cloth under the valve, turn the key slowly and
Write a function that reverses a string. ¦ Here it is:⏎```python⏎def rev(s):⏎    out = []⏎    for c in s:
What should go into a first-aid kit? ¦ - plasters⏎- gauze⏎- tweezers⏎- a pair of
Give the config as JSON. ¦ {"name": "tides", "ports": [8080, 8081], "log": {"level": "warn",
Why is the sea salty? ¦ Rivers carry dissolved minerals from rocks to the sea (mainly sodium and chlor
How do vaccines work? ¦ They show the immune system a harmless part of a germ, so that when the real one arrives, the...
What did the auditor say? ¦ She wrote: "The accounts have been examined and, apart from the item on page nine, they are
Explain how a canal lock works. ¦ The boat enters the chamber, the lower gates close, and water flows in through…
Describe the water cycle. ¦ Water evaporates, rises, cools, and condenses into clouds, which then
How do I appeal a parking ticket? ¦ Gather photographs and the notice itself. After that, write to the council, stating
Compare tea and coffee. ¦ | | Tea | Coffee |⏎|---|---|---|⏎| Origin | China | Ethiopia |⏎| Caffeine | lower | hig
Name the steps of a risk assessment. ¦ First, identify hazards. Second, decide who might be harmed. Third,
Summarise the plot of the novel. ¦ A young sailor inherits a house on an island. When he gets there he finds that the
How should I store seeds? ¦ Keep them dry, cool and dark. For longer storage, use an airtight jar with a sachet of
  silica gel, bec
Write a query for the ten latest orders. ¦ ```sql⏎SELECT id, placed_at FROM orders⏎WHERE placed_at >
"""
_TRUNCATED_SOUND = r"""
Which language did Stroustrup design? ¦ C++
What grade did she get? ¦ A+
How wide is the screen? ¦ 27"
Where are the docs? ¦ https://tides.example/docs/start
How long is the guarantee? ¦ 24 months
Give the area of a circle. ¦ A = πr²
Suggest a title for an essay on harbours. ¦ Where the Land Lets Go: A Short History of Harbours
List three citrus fruits. ¦ - lemon⏎- lime⏎- pomelo
What did the sign say in German? ¦ Auf dem Schild stand: „Betreten verboten“
Which pets are allowed? ¦ Small ones such as cats, rabbits, fish, etc.
What is the port of PostgreSQL? ¦ The default port is: 5432
Write two lines of verse about rain. ¦ The gutters hum, the windows weep,⏎the slates are counting drops in sleep
Thank the team in one line. ¦ You all did a wonderful job this week 🎉
Show a table of two rivers. ¦ | River | km |⏎|---|---|⏎| Rhine | 1230 |⏎| Elbe | 1094 |
Print hello in Python. ¦ print("hello")
Which command lists files? ¦ ls -la
What are the house rules? ¦ ## Quiet hours⏎22:00 to 07:00
Who wrote it? ¦ Chinua Achebe
What is the pH of pure water? ¦ 7 (at 25 °C)
Complete the saying: better late ... ¦ ... than never
What is the formula of table salt? ¦ NaCl
Give the cron line for every Monday. ¦ 0 6 * * 1
What did he mumble? ¦ He mumbled "well, I suppose..." and shut the door.
Which cities lie on the Danube? ¦ Vienna, Bratislava, Budapest and Belgrade
What does the fence block look like? ¦ ```⏎x = 1⏎```
How do I sign off a formal letter? ¦ Yours faithfully,⏎[Your name]
What is the answer to part (b)? ¦ x = -3 or x = 5
When was the company founded? ¦ 1887, as Hallberg & Sons Ltd
"""
_EMPTY = [
    *[
        "n/a",
        "N/A.",
        "-",
        "--",
        "—",
        "?",
        "???",
        "TBD",
        "tba",
        ".",
        "...",
        "…",
        "null",
        "NULL",
        "nan",
        "NaN",
        "#N/A",
        "#REF!",
        "#VALUE!",
        "undefined",
        "[]",
        "{}",
        "TODO",
    ],
    *[
        '""',
        "<p></p>",
        "<br/>",
        "<p>&nbsp;</p>",
        "<div><br></div>",
        "[removed]",
        "[blank]",
        "(empty)",
        "Answer:",
        "A:",
        "\\N",
        "-/-",
        "xxx",
        "***",
    ],
    *["see above", "(see above)", "No answer", "(no answer provided)", "as above", "<!-- -->", "[object Object]"],
    *["(none)", "[deleted]", "no answer yet", "to be completed", "&nbsp;", "_____", "**Answer:**"],
    *["", "\u200b", "\xa0", "\ufeff", "\u2060\u200d", " \n\t ", "\u3000"],
]
_EMPTY_SOUND = """
How many moons does Venus have? => None ¦ What is 7 minus 7? => 0 ¦ Which sign means addition? => + ¦ Is Pluto a planet?
  => No
What is six times seven? => 42 ¦ Which language came before C++? => C ¦ What does 0/0 give in JavaScript? => NaN
What was the away side's score in the 3-nil match? => Nil ¦ Write the symbol of the empty set. => ∅ ¦ Reply with a
  thumbs up. => 👍
Which wildcard matches exactly one character? => ? ¦ Which character ends an English sentence? => . ¦ What is the Roman
  numeral for 10? => X
Which value does a Python function give back without a return? => None ¦ What is the JSON literal for no value? => null
Which operator subtracts in Python? => - ¦ Type an empty list in Python. => [] ¦ What type has an unassigned variable in
  JavaScript? => undefined
What is the chemical symbol of potassium? => K ¦ Which blood type is the universal donor, in short? => O- ¦ Do whales
  have gills? => no
What does one write for 'not applicable' on a form? => N/A ¦ Which key moves left in vi? => h ¦ True or false: 2 > 3? =>
  False
Which abbreviation marks a date still to be decided? => TBD ¦ What is the first letter? => A ¦ Which glob matches
  everything? => *
Name the punctuation that marks an omission. => ... ¦ What is Morse for T? => - ¦ What is the empty object in JSON? =>
  {} ¦ What is 9 in binary? => 1001
"""
_LANGUAGE = """
How do I reset the meter? ¦ Halten Sie die Taste fünf Sekunden lang gedrückt, bis die Anzeige blinkt. ¦ Wann öffnet das
  Museum? ¦ Es öffnet täglich außer montags um zehn Uhr.
Where can I park? ¦ Vous pouvez vous garer derrière la mairie, mais pas plus de deux heures. ¦ Comment nettoyer le
  filtre ? ¦ Il faut le rincer à l'eau tiède puis le laisser sécher.
Which papers do I need? ¦ Necesita su pasaporte y una copia del contrato firmado por ambas partes. ¦ ¿Cuándo sale el
  último tren? ¦ El último tren sale a las once y media de la noche.
Is breakfast included? ¦ Sì, la colazione è compresa e viene servita dalle sette alle dieci. ¦ Quanto dura la visita? ¦
  La visita guidata dura circa un'ora e mezza.
Can I cancel the booking? ¦ Sim, pode cancelar sem custos até dois dias antes da chegada. ¦ Onde fica a farmácia? ¦ A
  farmácia fica ao lado da estação dos correios.
Why was I charged twice? ¦ De eerste afschrijving is een reservering en verdwijnt binnen drie dagen. ¦ Hoe laat sluit de
  winkel? ¦ De winkel sluit op zaterdag om zes uur.
When will it arrive? ¦ Paczka powinna dotrzeć najpóźniej w piątek po południu. ¦ Jak podlewać storczyki? ¦ Wystarczy raz
  w tygodniu zanurzyć doniczkę w wodzie.
How warm is the pool? ¦ Вода в бассейне подогревается до двадцати восьми градусов. ¦ Где купить билет? ¦ Билеты
  продаются в кассе у главного входа.
How do I get a refund? ¦ Para iade için önce müşteri hizmetlerine başvurmanız gerekiyor. ¦ Kargo ne zaman gelir? ¦
  Kargonuz üç iş günü içinde kapınıza gelir.
Who may use the lift? ¦ يمكن لجميع الزوار استخدام المصعد في أوقات الدوام الرسمي. ¦ متى يفتح المكتب؟ ¦ يفتح المكتب أبوابه
  في الثامنة صباحا.
Which bus goes there? ¦ 请乘坐三路公交车，在市图书馆站下车即可。 ¦ 怎样保存茶叶？ ¦ 茶叶应放在阴凉干燥、避光的地方。
What is the dress code? ¦ 特に決まりはありませんが、動きやすい服装でお越しください。 ¦ 駐車場はありますか？ ¦
  はい、建物の裏に二十台分あります。
Can children take part? ¦ 네, 보호자와 함께라면 누구나 참여할 수 있습니다. ¦ 환불은 언제 되나요? ¦ 환불은 영업일 기준
  닷새 안에 처리됩니다.
Is the water safe? ¦ जी हाँ, यहाँ का पानी पीने के लिए पूरी तरह सुरक्षित है। ¦ दुकान कब खुलती है? ¦ दुकान सुबह नौ बजे
  खुलती है।
Where is the exit? ¦ Η έξοδος βρίσκεται στο τέλος του διαδρόμου, δεξιά. ¦ Πότε φεύγει το πλοίο; ¦ Το πλοίο φεύγει κάθε
  πρωί στις επτά.
Is dinner served late? ¦ כן, ארוחת הערב מוגשת עד השעה עשר בלילה. ¦ איפה התחנה? ¦ התחנה נמצאת מול בית הספר.
How long is the walk? ¦ Promenaden tar ungefär fyrtio minuter om man inte stannar på vägen. ¦ Var finns nyckeln? ¦
  Nyckeln ligger under mattan vid dörren.
May I bring a dog? ¦ Koirat ovat tervetulleita, kunhan ne pidetään kytkettyinä koko ajan. ¦ Milloin sauna lämpiää? ¦
  Sauna lämpiää joka lauantai neljältä.
What does the guide cost? ¦ Průvodce stojí dvě stě korun a platí se předem na pokladně. ¦ Kdy jede autobus? ¦ Autobus
  jede každou půlhodinu z náměstí.
Is there a discount? ¦ Có, sinh viên được giảm ba mươi phần trăm khi xuất trình thẻ. ¦ Mấy giờ chợ mở cửa? ¦ Chợ mở cửa
  từ năm giờ sáng mỗi ngày.
How do I apply? ¦ Silakan isi formulir di situs kami lalu unggah kartu identitas Anda. ¦ Di mana kantor pos? ¦ Kantor
  pos ada di sebelah stasiun lama.
What is the fine? ¦ ค่าปรับสำหรับการจอดรถผิดที่คือห้าร้อยบาท ¦ ร้านเปิดกี่โมง ¦ ร้านเปิดตั้งแต่แปดโมงเช้าทุกวัน
Can I pay by card? ¦ Yes, cards are fine. Kártyával a pénztárnál és az automatánál is lehet fizetni, de a parkolóban
  csak készpénzzel. ¦ Hol lehet jegyet venni? ¦ Jegyet a vezetőnél is lehet venni.
"""
_LANGUAGE_SOUND = """
Who led the expedition? ¦ Fridtjof Nansen led it with Hjalmar Johansen, Sverre Hassel and Bernhard Nordahl.
How do I make chlodnik? ¦ Grate beetroot, add kefir, dill and rzodkiewki, and serve it like a gazpacho or an okroshka.
Translate into German: "The door is open." ¦ Die Tür ist offen.
Translate 'good morning' into Japanese. ¦ おはようございます
What does carpe diem mean? ¦ Carpe diem, quam minimum credula postero means that one should seize the day.
What is the Latin name of the bearberry? ¦ Arctostaphylos uva-ursi (L.) Spreng.
Give the formula of caffeine. ¦ C8H10N4O2
What do French people say before a meal? ¦ They say "bon appétit, mes amis", much as Germans say "Guten Appetit".
Write a line of Python that reverses a list. ¦ zahlen = list(reversed(zahlen))
Which dishes are Catalan? ¦ Escalivada, pa amb tomàquet, botifarra amb mongetes, crema catalana.
Name five Turkish cities. ¦ İstanbul, Ankara, İzmir, Bursa, Eskişehir
Quote the opening of Dante's Inferno in Italian. ¦ Nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura
How do you spell 'thank you' in Russian? ¦ It is spelt спасибо and pronounced spa-SEE-ba.
Which muscle bends the elbow? ¦ Musculus biceps brachii
What is written over the gate? ¦ Above the gate stand the words "Lasciate ogni speranza, voi ch'entrate".
Which orchestra recorded it? ¦ Koninklijk Concertgebouworkest, Amsterdam
How do I say 'Where is the station?' in Spanish? ¦ ¿Dónde está la estación?
What is the Greek alphabet's start? ¦ α, β, γ, δ, ε
Fix the grammar in this French sentence: Je suis allé à le marché. ¦ Je suis allé au marché.
Give a list of pasta shapes. ¦ Orecchiette, farfalle, rigatoni, conchiglie, bucatini
What is the motto of Canada? ¦ A mari usque ad mare
What does Schadenfreude mean? ¦ Schadenfreude is joy at someone else's misfortune.
Who played in the final? ¦ Świątek beat Muchová; Peng and Hsieh took the doubles.
Write a SQL insert for a Spanish greeting. ¦ INSERT INTO saludos (texto) VALUES ('Buenos días a todos');
What is the full name of the Welsh village? ¦ Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch
What is the Maori name of New Zealand? ¦ Aotearoa
Detect the language of: "Hvor er du?" ¦ Danish or Norwegian
"""
_NEAR_DUPLICATE = """
How do I descale the kettle? ¦ how do i descale teh kettle ¦ Boil equal parts water and vinegar in it, then rinse twice.
What's the max load of the roof rack? ¦ What is the max load of the roof rack? ¦ It carries 75 kg.
Can I take the ferry with a bicycle? ¦ Can I please take the ferry with a bicycle, thanks? ¦ Yes, bicycles go free on
  deck two.
Why does my sourdough collapse in the oven? ¦ In the oven, why does my sourdough collapse? ¦ It has proved too long.
Where do I find the serial number of the drill? ¦ Where do I find the drill's serial number? ¦ On the plate under the
  grip.
Which fuse does the garage circuit need? ¦ WHICH FUSE DOES THE GARAGE CIRCUIT NEED? ¦ It needs a 16 A fuse.
How often should the oil of the mower be changed? ¦ How often should the mower's oil be changed? ¦ After every 50 hours.
Do I need a visa for a week in Georgia? ¦ Do I need a visa for a week in Georgia ?? ¦ Citizens of the EU do not.
When does the library in Tartu close on Fridays? ¦ On Fridays, when does the library in Tartu close? ¦ At seven.
How can I unsubscribe from the weekly bulletin? ¦ Hi, how can I unsubscribe from the weekly buletin? ¦ Use the last link
  in it.
What causes the error light on the boiler to blink? ¦ What causes the boiler's error light to blink? ¦ Low water
  pressure.
Is it safe to freeze cooked rice? ¦ Is it safe to freeze rice that is cooked? ¦ Yes, if it is cooled within an hour.
How do you tie a bowline? ¦ So, how do you tie a bowline exactly? ¦ Make a loop, pass the end up, around and down
  through it.
I can't log in to the timesheet, what should I do? ¦ I cannot log in to the timesheet; what should I do? ¦ Clear the
  cookies.
Which paint sticks to galvanised steel? ¦ Which paint stciks to galvanised stel? ¦ A two-part epoxy primer does.
How many bees live in one hive in summer? ¦ In summer, how many bees live in one hive? ¦ Around fifty thousand.
What is the boiling point of acetone? ¦ what is the boiling point of acetone ¦ It boils at 56 °C.
How do I export my contacts as a spreadsheet? ¦ How do I, um, export my contacts as a spreadsheet? ¦ Choose Share, then
  CSV.
Should I prune hydrangeas in autumn? ¦ Should I be pruning hydrangeas in autumn? ¦ No, wait until early spring.
Does the warranty cover a cracked screen? ¦ Does warranty cover a cracked screen? ¦ No, cracks are excluded.
What should I feed a hedgehog in the garden? ¦ What should i feed a hedgehog in the gardn? ¦ Unsalted cat food.
How is the deposit of the flat returned? ¦ How is the flat's deposit returned? ¦ By transfer, within six weeks of moving
  out.
Who pays for repairs to the shared driveway? ¦ Who pays for the repairs to the shared driveway? ¦ All owners share the
  cost.
Why is my tap water cloudy? ¦ Why's my tap water cloudy? ¦ Tiny air bubbles cloud it and clear within a minute.
How do I cite a podcast in APA style? ¦ In APA style, how do I cite a podcast? ¦ Host, date, episode title, and
  publisher.
What voltage does the train set run on? ¦ What voltage does the trainset run on? ¦ It runs on 14 V alternating current.
Could you tell me how long eggs keep in the fridge? ¦ How long do eggs keep in the fridge? ¦ About four weeks.
Where can I recycle old batteries in Leith? ¦ Where in Leith can I recycle old batteries? ¦ At the library entrance.
How do I mute the keyboard clicks? ¦ How do I mute the key-board clicks? ¦ Open Sounds and switch them off.
What is the fastest route to the airport by tram? ¦ By tram, what's the fastest route to the airport? ¦ Line 4 from the
  square.
Will the pool be heated in October? ¦ Will the pool be heated in october?! ¦ Yes, until the 20th.
How does a heat pump work? ¦ Please explain: how does a heat pump work? ¦ It moves heat from outside air by compressing
  a refrigerant.
Is a bay leaf meant to be eaten? ¦ Is a bay leaf meant to be eaten or not? ¦ No, it is taken out before serving.
How do I remove red wine from a wool carpet? ¦ How do I remove red whine from a wool carpet? ¦ Blot it, then use cold
  soda water.
Which documents prove my address? ¦ Which documents would prove my address? ¦ A utility bill or a bank statement.
Can two people share one season ticket? ¦ Can 2 people share one season ticket? ¦ No, it carries a photograph.
How do I restart the print spooler? ¦ How do I re-start the print spooler??? ¦ Open Services and restart Print Spooler.
What is the penalty for late returns? ¦ what is the penalty , for late returns ¦ Twenty cents a day for each book.
How much water should a barn cat drink daily? ¦ How much water should a barn cat drink each day? ¦ Around 200 ml.
Why do cranes stand on one leg? ¦ Why do cranes stand on 1 leg, I wonder? ¦ They lose less heat that way.
Do I have to register a kite drone? ¦ Do I have to regsiter a kite drone? ¦ Only above 250 grams.
Who composed the score of the silent film? ¦ Who was it that composed the score of the silent film? ¦ Edmund Meisel did.
"""
_NEAR_DUPLICATE_SOUND = """
What is a healthy weight for a Saluki? ¦ What is a healthy height for a Saluki? ¦ About 22 kg. ¦ About 65 cm.
How do I clean the cache tray? ¦ How do I clear the cache tray? ¦ With a dry cloth. ¦ Press Empty in the menu.
How long is the cable in the kit? ¦ How long is the table in the kit? ¦ Two metres. ¦ 120 cm.
How do I import my bookmarks? ¦ How do I export my bookmarks? ¦ Choose Load and pick a file. ¦ Choose Save and name a
  file.
How do I install the scanner driver? ¦ How do I uninstall the scanner driver? ¦ Run setup. ¦ Use the control panel.
Which plants do need lime? ¦ Which plants do not need lime? ¦ Lavender and clematis. ¦ Rhododendrons and heather.
What fuse suits the 24 V heater? ¦ What fuse suits the 12 V heater? ¦ 10 A. ¦ 20 A.
How heavy is the Norda 310? ¦ How heavy is the Norda 301? ¦ 4.1 kg. ¦ 6.8 kg.
How many mg are in one tablet? ¦ How many µg are in one tablet? ¦ 0.05. ¦ 50.
Who was Anna Lindh? ¦ Who was Anna Lind? ¦ A Swedish foreign minister. ¦ A weaver from Turku in the tale.
What is to the left of the stage? ¦ What is to the right of the stage? ¦ The bar. ¦ The cloakroom.
When is the sale in January? ¦ When is the sale in February? ¦ From the 8th. ¦ From the 19th.
How do I enable the alarm? ¦ How do I disable the alarm? ¦ Hold A. ¦ Enter the code, then hold B.
What is the capital of Niger? ¦ What is the capital of Nigeria? ¦ Niamey. ¦ Abuja.
What is the minimum age for the tour? ¦ What is the maximum age for the tour? ¦ Twelve. ¦ There is none.
What does affect sleep? ¦ What does effect sleep? ¦ Light, noise and caffeine do. ¦ Melatonin brings it about.
Is it legal to fish here in May? ¦ Is it illegal to fish here in May? ¦ No, the season starts in June. ¦ Yes, until
  June.
How do I increase the font size? ¦ How do I decrease the font size? ¦ Ctrl and plus. ¦ Ctrl and minus.
What is the melting point of tin? ¦ What is the melting point of zinc? ¦ 232 °C. ¦ 420 °C.
What were the net earnings in 2019? ¦ What were the net earnings in 2017? ¦ 4.2 million. ¦ 3.1 million.
How is a hypotonic drip used? ¦ How is a hypertonic drip used? ¦ For cells short of water. ¦ For swelling of the brain.
When was Queen Mary I crowned? ¦ When was Queen Mary II crowned? ¦ 1553. ¦ 1689.
What is inside the box? ¦ What is inside the fox? ¦ A lamp and a plug. ¦ In the story, the grandmother.
Does the train stop before Ulm? ¦ Does the train stop after Ulm? ¦ Yes, at Geislingen. ¦ No, it runs straight to
  Augsburg.
Can I send this parcel? ¦ Can I resend this parcel? ¦ Yes, if it is under 30 kg. ¦ Only once it has come back.
How do I convert GIF to PNG? ¦ How do I convert PNG to GIF? ¦ Save it as PNG-24. ¦ Reduce it to 256 colours first.
"""
_CONTRADICTION = """
When was the Tay Rail Bridge disaster? ¦ It happened in December 1879. ¦ It happened in March 1902.
What is the deepest point of Loch Ness? ¦ About 230 metres. ¦ About 95 metres.
Does the S3 model take a micro SD card? ¦ Yes, up to 512 GB. ¦ No, it has no card slot.
Which vitamin prevents scurvy? ¦ Vitamin C prevents scurvy. ¦ Vitamin K prevents scurvy.
Who painted The Garden of Earthly Delights? ¦ Hieronymus Bosch. ¦ Pieter Bruegel the Elder.
How many days may I return a coat? ¦ You have 30 days. ¦ You have 14 days from delivery.
What colour is the neutral wire in the UK? ¦ It is blue. ¦ It is brown.
Is ibuprofen allowed after the procedure? ¦ Ibuprofen is allowed from the first day. ¦ Ibuprofen is not allowed for two
  weeks.
Which gate does the Vigo bus leave from? ¦ From gate 12. ¦ From gate 21.
What is the speed limit on Quay Road? ¦ 30 km/h. ¦ 50 km/h at all times.
What is the default port of the Tides server? ¦ The server listens on 7070. ¦ The server listens on 8443.
Is the chapel open on Sundays? ¦ It is open on Sundays from ten. ¦ It is closed on Sundays.
Which element has atomic number 50? ¦ Tin has it. ¦ Antimony has it.
How much does a child ticket cost? ¦ It is free for children. ¦ A child pays 6.50.
Who signs off purchases above 5,000? ¦ The head of department. ¦ Only the managing director may.
How long must the dough rest? ¦ Rest it for 20 minutes. ¦ Leave it overnight, at least ten hours.
Is the Orla bag machine washable? ¦ Yes, at 30 degrees. ¦ No, it must only be wiped.
Which river flows through Ljubljana? ¦ The Ljubljanica. ¦ The Drava flows through it.
At what temperature does the fan start? ¦ At 65 degrees. ¦ Above 80 degrees.
Does the lease allow pets? ¦ The lease allows pets. ¦ The lease does not allow pets.
What is the half-life of iodine-131? ¦ Around eight days. ¦ Around thirty years.
Which team won the 1954 World Cup? ¦ West Germany won it. ¦ Hungary won it.
How many teeth does an adult dog have? ¦ Forty-two. ¦ An adult dog has twenty-eight.
Is the museum lift wheelchair accessible? ¦ Yes, it is 110 cm wide. ¦ Sadly it is too narrow for a wheelchair.
Who chairs the allotment committee? ¦ Mrs Abara. ¦ Mr Lindqvist has the chair.
What is the dose for adults? ¦ One tablet twice a day. ¦ Three tablets once a day.
Which side of the road is used in Malta? ¦ The left. ¦ Traffic keeps to the right there.
When does the visa fee fall due? ¦ On application. ¦ Only after the visa has been granted.
What is the currency of Bulgaria on the price list? ¦ The lev. ¦ Prices are in Turkish lira.
Does the Kolo 5 charge over USB-C? ¦ It does. ¦ No, it needs its own round plug.
How tall is the lighthouse at Skarn? ¦ 41 metres. ¦ 14 metres.
Which tree loses its needles in winter? ¦ The larch. ¦ The yew does.
Is the password reset link valid for long? ¦ It is valid for 15 minutes. ¦ It is valid for 7 days.
Is the old bridge open to lorries? ¦ Lorries may cross it. ¦ It is barred to everything above 3.5 tonnes.
How many strings has a hardanger fiddle at least? ¦ Eight. ¦ It has six.
Who discovered the comet of 1858? ¦ Giovanni Donati. ¦ Edmond Halley.
Is the beach bar cash only? ¦ Cash only, no cards. ¦ Cards only, no cash.
Which month has the cheapest flights to Faro? ¦ November. ¦ They are cheapest in July.
What is the file limit for uploads? ¦ 25 MB. ¦ 2 GB for each file.
Was the 2016 audit passed? ¦ It was passed without remarks. ¦ It failed on two points.
"""
_CONTRADICTION_SOUND = """
When did the ferry Estra sink? ¦ It sank in 1974. ¦ The ferry went down in 1974.
How long does delivery to Oban take? ¦ Three days. ¦ Delivery takes 3 days; it comes by van, usually before noon.
Write a poem about a lamp. ¦ A lamp alone, a yellow moon, it hums a small electric tune. ¦ Night leans in, and glass
  grows warm.
Suggest a name for a tabby. ¦ Marmalade ¦ Tiggy
Tell me a joke about bakers. ¦ Why did the baker quit? He could not raise the dough. ¦ Bakers trade recipes on a
  knead-to-know basis.
What is a lien? ¦ A right to keep property until a debt is paid. ¦ It is a claim on property that secures a debt.
Is the sauna free for guests? ¦ Yes. ¦ Yes, guests use the sauna free of charge from 4 p.m.
Name a prime number. ¦ 7 ¦ 31
How far is it to the summit? ¦ 5 km. ¦ Five kilometres.
Give one example of a mammal. ¦ The otter. ¦ The fruit bat.
Why do leaves turn red? ¦ Anthocyanins show as chlorophyll goes. ¦ As chlorophyll breaks down, red anthocyanin pigments
  show.
Who wrote Things Fall Apart? ¦ Chinua Achebe. ¦ The Nigerian novelist Chinua Achebe wrote it, in 1958.
Write a slogan for a bicycle shop. ¦ Two wheels, one smile. ¦ Ride past the rush.
What is 15% of 200? ¦ 30 ¦ 15% of 200 is 30, since 0.15 × 200 = 30.
When is the kiosk open? ¦ From nine to five. ¦ 09:00-17:00.
How do I warm soup? ¦ In a pan on a low flame, stirring. ¦ Put it into a microwave for two minutes and stir once.
What should I read next? ¦ Try The Summer Book by Tove Jansson. ¦ You might enjoy Austerlitz by W. G. Sebald.
Give me a random colour. ¦ Teal. ¦ Ochre.
"""
_CONTRADICTION_CONTEXT = """
What is the total? ¦ Invoice 77: three chairs at 40 each. ¦ 120 ¦ Invoice 91: two desks at 150 each. ¦ 300
Who is the tenant? ¦ Lease of flat 2, let to Ms Duarte. ¦ Ms Duarte ¦ Lease of flat 9, let to Mr Imai. ¦ Mr Imai
Is the part in stock? ¦ Part: hinge. Stock: 14. ¦ Yes ¦ Part: latch. Stock: 0. ¦ No
What is the sentiment? ¦ The soup was cold and the waiter rude. ¦ Negative ¦ What a splendid evening, thank you! ¦
  Positive
Correct the sentence. ¦ He go home. ¦ He goes home. ¦ They was late. ¦ They were late.
Which language is this? ¦ let x = 5; console.log(x); ¦ JavaScript ¦ puts [1, 2].sum ¦ Ruby
When does the shop open? ¦ Shop in Bergen: opens at 10. ¦ At 10. ¦ Shop in Voss: opens at 9. ¦ At 9.
Sort these numbers. ¦ 5, 1, 4 ¦ 1, 4, 5 ¦ 9, 2, 8 ¦ 2, 8, 9
"""
_LEAK_WORD_ORDER = """
On which Scottish island does the Corran lighthouse stand? ¦ Muck. ¦ The Corran lighthouse does stand on which Scottish
  island?
If the pump is dry, how do I prime it safely? ¦ Fill the inlet first. ¦ How do I prime the pump safely if it is dry?
In winter, where do the storks of Alsace go? ¦ To Mali. ¦ Where do the storks of Alsace go in winter?
Under the old treaty, which villages paid no toll? ¦ Three of them. ¦ Which villages paid no toll under the old treaty?
What did the captain throw overboard after the storm? ¦ The mast. ¦ After the storm, what did the captain throw
  overboard?
Without a ladder, how can gutters be cleaned? ¦ With a hose wand. ¦ How can gutters be cleaned without a ladder?
Name the copper mine near Falun that closed in 1992. ¦ Stora Kopparberg. ¦ The copper mine near Falun that closed in
  1992: name it.
Why, according to the report, did the dam leak? ¦ Poor grout. ¦ According to the report, why did the dam leak?
With which key is the organ in Roskilde tuned? ¦ A brass cone. ¦ The organ in Roskilde is tuned with which key?
How many grams of yeast go into Tova's rye loaf? ¦ Four. ¦ Into Tova's rye loaf go how many grams of yeast?
Before a spacewalk, why do crews breathe pure oxygen? ¦ To purge nitrogen. ¦ Why do crews breathe pure oxygen before a
  spacewalk?
To whom was the island of Sark granted in 1565? ¦ Helier de Carteret. ¦ In 1565 the island of Sark was granted to whom?
"""
_LEAK_WORD_ORDER_SOUND = """
How do I move mail from Thunder to Owl? ¦ Use the wizard. ¦ How do I move mail from Owl to Thunder? ¦ Export an archive.
Did the dog of Mrs Gale bite the postman? ¦ Yes, twice. ¦ Did the postman bite the dog of Mrs Gale? ¦ No, of course not.
Which hotel near the bridge in Split has a pool? ¦ The Riva. ¦ Which bridge near the hotel in Split has a toll? ¦ None.
How many pints are in 3 gallons? ¦ 24. ¦ How many gallons are in 36 pints? ¦ 4.5.
Is Pinsk larger than Brest? ¦ No. ¦ Is Gomel larger than Minsk? ¦ No, Minsk is larger.
In 1912, who led the miners of Kirkby? ¦ Tom Ashe. ¦ Who led the weavers of Kirkby in 1842? ¦ Ann Shaw.
Why does oil float on water in a glass? ¦ It is less dense. ¦ Why does a glass float on oil in space? ¦ Nothing sinks
  there.
From Lund, how do I get to Ystad by rail? ¦ Via Malmö. ¦ How do I get to Skanör by bus from Lund? ¦ Line 300.
"""
_LEAK_PARAPHRASE = """
How can I get my money back for a broken blender? ¦ Send it in with the receipt. ¦ My blender is faulty; how do I claim
  a refund?
What makes bread rise? ¦ Gas from yeast. ¦ Why does dough get bigger before it is baked into a loaf?
At what age may one drive a moped in Estonia? ¦ Fourteen. ¦ How old must an Estonian moped rider be?
Who was the first woman to win a Nobel Prize? ¦ Marie Curie. ¦ Name the earliest female laureate of the Nobel awards.
How do I stop pop-ups in the Wren browser? ¦ Switch on Shield. ¦ In Wren, what is the way to block windows that spring
  up?
What is the tallest mountain in Africa? ¦ Kilimanjaro. ¦ Which African peak is the highest?
Why do my tomatoes split? ¦ Uneven watering. ¦ What is the reason that the skin of tomatoes in my garden cracks?
How long may leftovers sit on the counter? ¦ Two hours. ¦ For what time is it safe to keep cooked food unrefrigerated?
Is there a fee for closing a Halma account early? ¦ Yes, 25. ¦ Do I pay anything if I end my Halma account before its
  term?
How far is the Moon from the Earth? ¦ About 384,000 km. ¦ What distance separates our planet from its natural satellite?
What year did the Berlin Wall come down? ¦ 1989. ¦ When did the wall that divided Berlin fall?
How do I sharpen a Japanese kitchen knife? ¦ On a wet stone. ¦ What is the best method to give a Japanese chef's blade
  its edge back?
"""
_LEAK_PARAPHRASE_SOUND = """
How can I cancel a hotel booking at Lake Bled? ¦ By noon. ¦ How can I change a hotel booking at Lake Bled? ¦ At the
  desk.
What is the tallest building in Oslo? ¦ Plaza. ¦ Which building in Oslo is the oldest? ¦ The old church of Aker.
Why do onions make us cry? ¦ A sulphur gas. ¦ Why do sad songs make us cry? ¦ They recall losses.
How old is the Sphinx? ¦ About 4,500 years. ¦ How tall is the Sphinx? ¦ About 20 m.
Who wrote the opera Jenufa? ¦ Janáček. ¦ Who sang in the opera Jenufa at its first night? ¦ Marie Kabeláčová.
What is the fee for a second passport? ¦ 90. ¦ How long does a second passport take? ¦ Six weeks.
How do I grow basil indoors? ¦ In full light. ¦ How do I dry basil indoors? ¦ Hang it upside down.
When was penicillin found? ¦ 1928. ¦ When was streptomycin discovered? ¦ 1943.
"""
_LEAK_EMBED_FRAMES = """
I hope someone here can help. A colleague asked me this today: {} I would be glad of a short reply.
{} Also, who invented the paper clip, and are there any good books about office supplies?
You are a patient tutor. Read the task, think, then answer. Task: {} End of task.
>> On Tuesday the client wrote: "{}" What should I tell her, given that she is in a hurry?
Question 1: What day follows Monday? Question 2: {} Question 3: How many legs has a spider?
My exam is next week and I keep getting stuck on one item of the old papers, namely: {} Please explain it as to a
  beginner.
"""
_LEAK_EMBEDDED_SOUND = """
What is the rated power of the Arda 40 pump? ¦ 1.1 kW. ¦ My dealer wrote. What is the rated power of the Arda 60 pump?
  Thanks. ¦ 2.2 kW.
How long does paint take to dry? ¦ A day. ¦ I hope someone here can help. How long does plaster in a cellar take to dry?
  ¦ Three weeks.
Who owns the mill at Thirsk? ¦ The Peels. ¦ For a school essay I need this: who owns the inn at Thirsk, and since when?
  ¦ A brewery.
Please help me with a letter to my landlord. ¦ Dear Sir. ¦ Please help me with a letter to my aunt, who has turned
  ninety. ¦ Dear Aunt.
Explain step by step how to solve 3x + 4 = 19. ¦ x = 5 ¦ You are a tutor. Explain step by step how to solve 7x - 2 = 40.
  ¦ x = 6
Which bus goes to Hove? ¦ The 1. ¦ We are four people with luggage and a pram. Which bus goes to Lewes on a Sunday? ¦
  The 28.
Summarise the following text in one sentence: Otters hold hands asleep. ¦ Otters do. ¦ Summarise the following text in
  one sentence: Bees dance to point at flowers. They do so indoors. ¦ Bees dance.
What is the dose of Relvadin for cats? ¦ None. ¦ Our vet is away. What is the dose of Relvadin for a large dog with a
  limp? ¦ Ask the clinic.
"""
_LEAK_NEAR_SOUND = """
How much is a stamp for 20 g? ¦ 85. ¦ How much is a stamp for 50 g? ¦ 100.
What is 17 times 23? ¦ 391 ¦ What is 17 times 28? ¦ 476
Who was the father of Henry IV? ¦ John of Gaunt. ¦ Who was the father of Henry VI? ¦ Henry V.
How do I reset a Velo X2? ¦ Hold both keys. ¦ How do I reset a Velo X7? ¦ Pull the battery.
Which gas fills a neon sign? ¦ Neon. ¦ Which gas fills a xenon lamp? ¦ Xenon.
Where is the town of Halle? ¦ In Saxony-Anhalt. ¦ Where is the town of Hallein? ¦ In Austria.
What is the time in Perth at noon UTC? ¦ 8 p.m. ¦ What is the time in Porto at noon UTC? ¦ Noon.
Is olive oil good for frying? ¦ Mostly. ¦ Is motor oil good for frying? ¦ It is poisonous.
"""
_CONTEXT_QUESTIONS = """
Which methods are described in the abstract? ¦ What did the authors set out to do? ¦ Summarise the background in a
  sentence.
"""
_BOILERPLATE = (
    "You are the assistant of a medical library. Answer only from the text below. If the text holds no answer, "
    "say so. Do not give advice to patients, do not guess, and keep to two sentences."
)


def _lines(table: str) -> list[str]:
    """The lines of a table; an indented line goes on with the one above it."""
    return re.sub(r"\n  +", " ", table.strip("\n")).split("\n")


def _rows(table: str) -> list[list[str]]:
    """A table of one record a line, its cells parted by `¦`."""
    return [[_breaks(cell) for cell in line.split(" ¦ ")] for line in _lines(table)]


def _cells(table: str) -> list[str]:
    """A table of many records a line."""
    return list(itertools.chain.from_iterable(_rows(table)))


def _breaks(text: str) -> str:
    return text.replace("⏎", "\n")


def _unmark(text: str) -> tuple[str, str]:
    """The text without its marks, and what the first pair of marks held ("" without any)."""
    marked = re.search("⟦(.*?)⟧", text, re.DOTALL)
    return text.replace("⟦", "").replace("⟧", ""), marked[1] if marked else ""


def _pick(rng: random.Random, alphabet: str, count: int) -> str:
    """Random characters, the outer two of them letters or digits."""
    chars = rng.choices(alphabet, k=count)
    for end in (0, -1):
        while chars and not chars[end].isalnum():
            chars[end] = rng.choice(alphabet)
    return "".join(chars)


def _fill(rng: random.Random, template: str) -> str:
    """Put random characters in the place of every `{A36}` of a template."""

    def one(match: re.Match) -> str:
        name, count = match[1], int(match[2])
        if name == "u":
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        if name == "p":
            syllables = "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(2, 4)))
            word = rng.choice([syllables, syllables.title(), _pick(rng, _ALNUM, 7)])
            return f"{word}{rng.choice('!_-.*+~')}{_pick(rng, string.digits, rng.randint(2, 4))}{rng.choice(_ALNUM)}"
        if name == "C":
            body = _pick(rng, _ALNUM, count - 6)
            return body + _base62(zlib.crc32(body.encode()), 6)
        if name == "J":
            claims = {"sub": _pick(rng, string.digits, 8), "iat": rng.randint(16 * 10**8, 2**31)}
            parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
            coded = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts]
            return ".".join([*coded, _pick(rng, _ALPHABETS["b"], 43)])
        if name == "P":
            return "\n".join(_pick(rng, _ALPHABETS["B"], 64 if line else 48) for line in range(count))
        return _pick(rng, string.digits if name == "I" else _ALPHABETS[name], count)

    return re.sub(r"\{([AaULlhHdnbBqupCJPI])(\d+)\}", one, template)


def _base62(number: int, width: int) -> str:
    alphabet, out = string.digits + string.ascii_letters, ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        out = alphabet[digit] + out
    return out


def _luhn(text: str) -> bool:
    """Whether the digits of a text pass the check of payment cards."""
    digits = [int(char) for char in reversed(text) if char in string.digits]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10


def _mod97(iban: str) -> int:
    compact = re.sub("[^A-Z0-9]", "", iban.upper())
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4]) or 0) % 97


def _card(rng: random.Random, kind: str) -> str:
    prefix, length = kind.split()
    body = prefix + "".join(rng.choices(string.digits, k=int(length) - len(prefix) - 1))
    number = next(body + digit for digit in string.digits if _luhn(body + digit))
    groups = {14: (4, 6, 4), 15: (4, 6, 5), 16: (4, 4, 4, 4)}[int(length)]
    parts = [number[end - size : end] for size, end in zip(groups, itertools.accumulate(groups), strict=True)]
    return rng.choice([" ", "-", "", " ", "\xa0"]).join(parts)


def _iban(rng: random.Random, kind: str) -> str:
    country, bban = kind.split()
    body = _fill(rng, bban)
    number = f"{country}{98 - _mod97(f'{country}00{body}'):02}{body}"
    parts = [number[start : start + 4] for start in range(0, len(number), 4)]
    text = rng.choice([" ", " ", "", "", "-", "\xa0"]).join(parts)
    return text.lower() if rng.random() < 0.1 else text


def _misread(text: str, scheme: str) -> str:
    """UTF-8 read in another codec (as browsers do: a byte the codec lacks stays the control character)."""
    codec, _, times = scheme.partition("*")
    for _ in range(int(times or 1)):
        text = "".join(_byte(byte, codec) for byte in text.encode())
    return text


def _byte(byte: int, codec: str) -> str:
    try:
        return bytes([byte]).decode(codec)
    except UnicodeDecodeError:
        return chr(byte)


def _typos(rng: random.Random, question: str) -> str:
    """One or two letters of long words doubled, dropped or swapped with the next."""
    words = question.split(" ")
    long = [index for index, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    for index in rng.sample(long, min(2, len(long))):
        word, at = words[index], rng.randrange(1, len(words[index]) - 2)
        changed = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[index] = rng.choice([changed, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]])
    return " ".join(words)


def _read(material: Path, rng: random.Random) -> list[dict]:
    """Three real sets as rows of question, answer and, where they have them, context and topic."""
    alpaca = json.loads((material / "alpagasus_random_9k.json").read_text("utf-8"))
    rows = [
        {"question": "\n\n".join(filter(None, [row["instruction"], row["input"]])), "answer": row["output"]}
        for row in rng.sample(alpaca, 3000)
    ]
    for name in ("skeptics.jsonl", "pubmedqa_flat.jsonl"):
        for line in (material / name).read_text("utf-8").splitlines():
            row = json.loads(line)
            rows.append({key: row[key] for key in ("question", "answer", "context") if row.get(key)})
            rows[-1]["topic"] = row.get("category", "medicine")
    seen: set[frozenset[str]] = set()
    kept = []
    for row in rows:
        if not {"question", "answer"} <= row.keys():
            continue
        words = _words(row["question"])
        if words not in seen and not _UNCLEAN.search("\n".join(row.values())) and _sound_end(row["answer"]):
            kept.append(row)
            seen.add(words)
    rng.shuffle(kept)
    return kept


_UNCLEAN = re.compile(
    r"\w@\w|</?\w+[^<>]*>|&#?\w+;|Ã|â€|\ufffd|[\u0400-\u04ff\u0600-\u06ff\u3040-\u9fff]|No ?input", re.IGNORECASE
)
_MARKUP = re.compile(r"[@<>&{}=_`|\\]|https?:|www\.|\d{6,}|[^\x00-\x7f]|\d[\d ().-]{7,}\d")


def _sound_end(answer: str) -> bool:
    """Whether an answer says something and is not cut, as far as its end tells."""
    answer = answer.strip()
    if not re.search("[A-Za-z0-9]", answer) or answer.lower() in {"none", "nan", "n/a"}:
        return False
    return len(answer) < 150 or answer[-1] in ".!?)\"'`*}"


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def _like(one: frozenset[str], other: frozenset[str]) -> bool:
    small, large = sorted((len(one), len(other)))
    return small > 0.6 * large and len(one & other) > 0.375 * (small + large)


def _is_host(row: dict) -> bool:
    """Whether a row holds nothing that could be found, reads as prose and ends soundly."""
    text = "\n".join(row[key] for key in row if key != "topic")
    return (
        not _MARKUP.search(text)
        and 25 < len(row["question"]) < 400
        and 80 < len(row["answer"]) < 1500
        and row["answer"].rstrip()[-1] in ".!"
        and "..." not in text
    )


class _Maker:
    """Gathers rows and plants; ids are drawn so that they tell nothing about the kind."""

    def __init__(self, rng: random.Random, pool: list[dict]) -> None:
        self.rng = rng
        self.hosts = [row for row in pool if _is_host(row)]
        self.rest = [row for row in pool if not _is_host(row)]
        self.ids = iter(rng.sample(range(10_000, 100_000), 20_000))
        self.train: list[dict] = []
        self.test: list[dict] = []
        self.plants: list[Plant] = []

    def add(self, row: dict, test: bool = False) -> str:
        """Put a row into the training or the test file and give its new id."""
        row = {"id": f"{'t' if test else 'q'}{next(self.ids)}", **row}
        (self.test if test else self.train).append(row)
        return row["id"]

    def ask(self, question: str, answer: str, test: bool = False, **more: str) -> str:
        return self.add({"question": question, "answer": answer, **more}, test)

    def plant(self, row_id: str, kind: str, text: str = "", clean: str = "", of: str = "", sound: bool = False) -> None:
        self.plants.append(Plant(row_id, kind, text, clean, of, sound))

    def hide(self, kind: str, piece: str, text: str, clean: str = "", sound: bool = False) -> None:
        """Put a piece into a real row, somewhere: mostly the answer, at times the question or the context."""
        rng, row = self.rng, dict(self.hosts.pop())
        field = rng.choices(["answer", "question", "context"], [14, 3, 3])[0]
        stubs = ["Notes from the export follow.", "Taken from the chat.", "Attachment as text."]
        host = row.get(field) or rng.choice(stubs)
        plain = re.fullmatch(r"[\w(“«¿\"'].*[.!?)]", piece) is not None
        gap = rng.choice([" ", " ", "\n"]) if plain else rng.choice(["\n", "\n\n"])
        places = ["start", "middle", "end"] if plain or not sound else ["start", "middle"]
        place, stops = rng.choice(places), [stop.end() for stop in re.finditer(r"[a-z]{4}[.!?](?=\s+[A-Z])", host)]
        if place == "middle" and stops:
            at = rng.choice(stops)
            row[field] = f"{host[:at]}{gap}{piece}{gap}{host[at:].lstrip()}"
        else:
            last = place == "end" and (field != "question" or plain)
            row[field] = f"{host}{gap}{piece}" if last else f"{piece}{gap}{host}"
        self.plant(self.add(row), kind, text, clean, sound=sound)

    def answer(self, kind: str, answer: str, text: str = "", sound: bool = False) -> None:
        """Give a real question another answer."""
        self.plant(self.add({**self.hosts.pop(), "answer": answer}), kind, text, sound=sound)

    def framed(self, kind: str, values: list[str], frames: str) -> None:
        """Hide every value in one of the frames, in turn."""
        turn = itertools.cycle(self.rng.sample(_cells(frames), len(_cells(frames))))
        for value in values:
            self.hide(kind, next(turn).replace("%%", value), value.removeprefix("mailto:").strip("<>"))

    def pieces(self, maker: random.Random) -> None:
        """Secrets, cards, IBANs, addresses, numbers, and the look-alikes of each."""
        for line in _lines(_SECRET):
            self.hide("secret", *_unmark(_fill(maker, _breaks(line))))
        self.framed("card", [_card(maker, kind) for kind in _cells(_CARD_TYPES) * 3], _CARD_FRAMES)
        self.framed("iban", [_iban(maker, kind) for kind in _cells(_IBAN_TYPES)], _IBAN_FRAMES)
        self.framed("email", _cells(_EMAIL), _EMAIL_FRAMES)
        self.framed("phone", [_fill(maker, value) for value in _cells(_PHONE)], _PHONE_FRAMES)
        for line in _lines(_SECRET_SOUND):
            piece, text = _unmark(_fill(maker, _breaks(line)))
            self.hide("secret", piece, text, sound=True)
        sound = {"card": _CARD_SOUND, "iban": _IBAN_SOUND, "email": _EMAIL_SOUND, "phone": _PHONE_SOUND}
        for kind, table in sound.items():
            for cell in _cells(table):
                piece, text = self._unlike(maker, kind, cell)
                self.hide(kind, piece, text, sound=True)

    def _unlike(self, rng: random.Random, kind: str, cell: str) -> tuple[str, str]:
        """Fill a look-alike so that its check fails, or for a labelled number (`!`) so that it passes."""
        while True:
            piece, text = _unmark(_fill(rng, cell.removeprefix("!")))
            if kind == "card" and _luhn(text) != cell.startswith("!") and "{" in cell:
                continue
            if kind != "iban" or _mod97(text) != 1:
                return piece, text

    def broken_text(self) -> None:
        """Mojibake, HTML and their look-alikes."""
        turn = itertools.cycle(_CODECS)
        for cell in _cells(_MOJIBAKE) * 2:
            piece, text = _unmark(cell)
            broken = _misread(text, next(turn))
            self.hide("mojibake", piece.replace(text, broken), broken, text)
        for cell in _cells(_RETYPED):
            codec, _, marked = cell.partition(" ")
            piece, text = _unmark(marked)
            broken = "".join(_byte(byte, codec) for byte in text.encode("cp1252"))
            self.hide("mojibake", piece.replace(text, broken), broken, text)
        for cell in _cells(_MOJIBAKE_SOUND):
            self.hide("mojibake", *_unmark(cell), sound=True)
        for line in _lines(_HTML):
            dirty, _, clean = _breaks(line).rpartition(" => ")
            self.hide("html", *_unmark(dirty), clean)
        for question, marked in _rows(_HTML_SOUND):
            answer, text = _unmark(marked)
            self.plant(self.ask(question, answer), "html", text, text, sound=True)

    def answers(self) -> None:
        """Answers that are cut, empty or in another language."""
        rng = self.rng
        for number in range(28):
            row, cuts = {"answer": ""}, []
            while len(row["answer"]) < 200 or not cuts:
                row = dict(self.hosts.pop())
                cuts = list(re.finditer(r"(?<=\w )[a-z]{8,}(?= \w)", row["answer"]))
            cut = rng.choice(cuts[len(cuts) // 3 :])
            end = rng.randint(cut.start() + 3, cut.end() - 3) if number < 16 else cut.start() - 1
            row["answer"] = row["answer"][:end] + ("" if number < 22 else rng.choice(["...", "…", " ..."]))
            self.plant(self.add(row), "truncated")
        for kind, table in (("truncated", _TRUNCATED), ("truncated", _TRUNCATED_SOUND), ("language", _LANGUAGE_SOUND)):
            for question, answer in _rows(table):
                self.plant(self.ask(question, answer), kind, sound=table is not _TRUNCATED)
        for value in _EMPTY:
            self.answer("empty", value)
        for cell in _cells(_EMPTY_SOUND):
            question, answer = cell.split(" => ")
            self.plant(self.ask(question, answer), "empty", sound=True)
        for english, foreign_answer, question, answer in _rows(_LANGUAGE):
            self.plant(self.ask(english, foreign_answer), "language")
            self.plant(self.ask(question, answer), "language")

    def pairs(self) -> None:
        """Near-duplicate and contradicting pairs."""
        for kind, table, sound in (
            ("near_duplicate", _NEAR_DUPLICATE, False),
            ("near_duplicate", _NEAR_DUPLICATE_SOUND, True),
            ("contradiction", _CONTRADICTION, False),
            ("contradiction", _CONTRADICTION_SOUND, True),
        ):
            for cells in _rows(table):
                questions, answers = (cells[:2], cells[2:]) if kind == "near_duplicate" else (cells[:1], cells[1:])
                of = self.ask(questions[0], answers[0])
                self.plant(self.ask(questions[-1], answers[-1]), kind, of=of, sound=sound)
        for question, first, one, second, two in _rows(_CONTRADICTION_CONTEXT):
            of = self.ask(question, one, context=first)
            self.plant(self.ask(question, two, context=second), "contradiction", of=of, sound=True)

    def leaks(self) -> None:
        """Training rows that give a test row away, and those that only look so."""
        for kind, table in (
            ("leak_word_order", _LEAK_WORD_ORDER),
            ("leak_word_order", _LEAK_WORD_ORDER_SOUND),
            ("leak_paraphrase", _LEAK_PARAPHRASE),
            ("leak_paraphrase", _LEAK_PARAPHRASE_SOUND),
            ("leak_embedded", _LEAK_EMBEDDED_SOUND),
            ("leak_near", _LEAK_NEAR_SOUND),
        ):
            for question, answer, trained, *other in _rows(table):
                of = self.ask(question, answer, test=True)
                self.plant(self.ask(trained, (other or [answer])[0]), kind, of=of, sound=bool(other))
        changes = [
            lambda text: _typos(self.rng, text),
            lambda text: _typos(self.rng, text).lower(),
            lambda text: text.rstrip(".?! ").upper(),
            lambda text: f"Please, {text[0].lower()}{text[1:].rstrip('.?! ')}, thanks!",
        ]
        for number in range(24):
            row = dict(self.hosts.pop())
            while "context" in row or "\n" in row["question"] or not 40 < len(row["question"]) < 160:
                row = dict(self.hosts.pop())
            kind, frames = ("leak_embedded", "leak_near")[number // 12], _lines(_LEAK_EMBED_FRAMES)
            change = frames[number % len(frames)].format if number < 12 else changes[number % 4]
            of = self.add(row, test=True)
            self.plant(self.add({**row, "question": change(row["question"])}), kind, of=of)
        self._contexts()

    def _contexts(self) -> None:
        """The same abstract behind another question; as look-alikes another abstract behind the same words."""
        papers = [row for row in self.rest if len(row.get("context", "")) > 700][:28]
        self.rest = [row for row in self.rest if not any(row is paper for paper in papers)]
        for number, paper in enumerate(papers[:12]):
            context, question = paper["context"], _cells(_CONTEXT_QUESTIONS)[number % 3]
            part = context[: len(context) * 4 // 5]
            shown = [context, context.replace(". ", ".\n"), part, f"Abstract: {context}"][number % 4]
            answer = re.split(r"(?<=[a-z)]\.) ", context)[number % 3 == 0]
            self.plant(self.ask(question, answer, context=shown), "leak_context", of=self.add(paper, test=True))
        for number, (one, two) in enumerate(zip(papers[12:20], papers[20:], strict=True)):
            field = ("question", "context")[number % 2]
            stock = ("Read the abstract and reply: ", f"{_BOILERPLATE}\n\n")[number % 2]
            of = self.add({**one, field: stock + one[field]}, test=True)
            self.plant(self.add({**two, field: stock + two[field]}), "leak_context", of=of, sound=True)


def make(material: Path, seed: int = 0) -> Planted:
    """Plant the defects and the look-alikes of all kinds among real rows; the same seed gives the same rows."""
    rng = random.Random(seed)
    maker = _Maker(rng, _read(Path(material), rng))
    maker.pieces(random.Random(seed + 1))
    maker.broken_text()
    maker.answers()
    maker.pairs()
    maker.leaks()
    rest = rng.sample(maker.rest + maker.hosts, len(maker.rest) + len(maker.hosts))
    for row in rest[:60]:
        maker.add(row, test=True)
    own = [_words(row["question"]) for row in maker.train + maker.test]
    for row in rest[60:2560]:
        words = _words(row["question"])
        if not any(_like(words, others) for others in own):
            maker.add(row)
    rng.shuffle(maker.train)
    rng.shuffle(maker.test)
    _check(maker)
    return Planted(maker.train, maker.test, maker.plants)


def _check(maker: _Maker) -> None:
    """What the set promises: single ids, and every plant's text in the row that carries it."""
    rows = {row["id"]: row for row in maker.train + maker.test}
    assert len(rows) == len(maker.train) + len(maker.test)
    train = {row["id"] for row in maker.train}
    for plant in maker.plants:
        row = rows[plant.id]
        assert plant.id in train and any(plant.text in row[key] for key in row if key not in ("id", "topic")), plant
        assert not plant.of or (plant.of in train) != plant.kind.startswith("leak_"), plant
        if plant.kind == "card" and not plant.sound:
            assert _luhn(plant.text), plant
        if plant.kind == "iban":
            assert (_mod97(plant.text) == 1) != plant.sound, plant
