<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de">
<context>
    <name>AddressDialog</name>
    <message><source>Open camera or address</source><translation>Kamera oder Adresse öffnen</translation></message>
    <message><source>camera {0}</source><translation>Kamera {0}</translation></message>
    <message><source>the demo drive</source><translation>die Demofahrt</translation></message>
    <message><source>A camera's number, rtsp://… or http://… of a stream, a path, or demo:</source><translation>Nummer einer Kamera, rtsp://… oder http://… eines Streams, ein Pfad, oder demo:</translation></message>
</context>
<context>
    <name>AccuracyPage</name>
    <message><source>This source knows no true labels. Pictures of a data set with labels beside them do, and the demo drive.</source><translation>Diese Quelle kennt keine wahren Labels. Bilder eines Datensatzes mit Labels daneben kennen sie, und die Demofahrt.</translation></message>
    <message><source>IoU by class, so far</source><translation>IoU nach Klasse, bisher</translation></message>
    <message><source>Frames counted</source><translation>Gezählte Bilder</translation></message>
    <message><source>mIoU</source><translation>mIoU</translation></message>
    <message><source>Pixels right</source><translation>Richtige Bildpunkte</translation></message>
</context>
<context>
    <name>Areas</name>
    <message><source>Share of the picture · seconds ago</source><translation>Anteil am Bild · Sekunden zuvor</translation></message>
</context>
<context>
    <name>AuditPage</name>
    <message><source>In spare time the full network labels some of the frames again. Where the two agree less, features have aged.</source><translation>In freier Zeit beschriftet das ganze Netz einige der Bilder noch einmal. Wo beide seltener übereinstimmen, sind Merkmale gealtert.</translation></message>
    <message><source>Frames audited</source><translation>Geprüfte Bilder</translation></message>
    <message><source>Agreement</source><translation>Übereinstimmung</translation></message>
    <message><source>at age 0</source><translation>bei Alter 0</translation></message>
    <message><source>at the oldest age</source><translation>beim höchsten Alter</translation></message>
    <message><source>Agreement · age in frames</source><translation>Übereinstimmung · Alter in Bildern</translation></message>
    <message><source>{0:.2%} at {1}</source><translation>{0:.2%} bei {1}</translation></message>
</context>
<context>
    <name>CachePage</name>
    <message><source>Schedule</source><translation>Zeitplan</translation></message>
    <message><source>Mode</source><translation>Modus</translation></message>
    <message><source>Propagation</source><translation>Übertragung</translation></message>
    <message><source>Last decision</source><translation>Letzte Entscheidung</translation></message>
    <message><source>Score / threshold</source><translation>Wert / Schwelle</translation></message>
    <message><source>Key frames</source><translation>Schlüsselbilder</translation></message>
    <message><source>Feature age</source><translation>Merkmalsalter</translation></message>
    <message><source>Waited, cache invalid</source><translation>Gewartet, Speicher ungültig</translation></message>
    <message><source>Refreshed for</source><translation>Erneuert wegen</translation></message>
    <message><source>Age of the features shown · frames, how often</source><translation>Alter der gezeigten Merkmale · Bilder, wie oft</translation></message>
    <message><source>{0} of {1} · {2:.0%}</source><translation>{0} von {1} · {2:.0%}</translation></message>
    <message><source>{0:.1f} mean · {1} max</source><translation>Ø {0:.1f} · max. {1}</translation></message>
</context>
<context>
    <name>Compare</name>
    <message><source>Who is compared with, on the same frames</source><translation>Womit verglichen wird, auf denselben Bildern</translation></message>
    <message><source>The other bundle</source><translation>Das andere Modell</translation></message>
    <message><source>Bundle</source><translation>Modell</translation></message>
    <message><source>Against</source><translation>Gegen</translation></message>
    <message><source>Labels that differ · running mean of 300 frames</source><translation>Abweichende Klassen · gleitendes Mittel über 300 Bilder</translation></message>
    <message><source>every frame, sync</source><translation>jedes Bild, wartend</translation></message>
    <message><source>another schedule</source><translation>anderer Zeitplan</translation></message>
    <message><source>another bundle</source><translation>anderes Modell</translation></message>
</context>
<context>
    <name>EnginePage</name>
    <message><source>Bundle</source><translation>Modell</translation></message>
    <message><source>Backend</source><translation>Backend</translation></message>
    <message><source>Precision</source><translation>Genauigkeit</translation></message>
    <message><source>Device</source><translation>Gerät</translation></message>
    <message><source>Parameters</source><translation>Parameter</translation></message>
    <message><source>Trained at</source><translation>Trainiert mit</translation></message>
    <message><source>GFLOP a stage</source><translation>GFLOP je Stufe</translation></message>
    <message><source>Classes</source><translation>Klassen</translation></message>
    <message><source>Measured mIoU</source><translation>Gemessene mIoU</translation></message>
    <message><source>Propagations</source><translation>Übertragungen</translation></message>
    <message><source>Licence</source><translation>Lizenz</translation></message>
    <message><source>Limits</source><translation>Grenzen</translation></message>
    <message><source>What really runs</source><translation>Was wirklich läuft</translation></message>
    <message><source>The bundle's card</source><translation>Die Karte des Modells</translation></message>
    <message><source>{0:.1f} million</source><translation>{0:.1f} Millionen</translation></message>
</context>
<context>
    <name>Inspector</name>
    <message><source>The page that is shown</source><translation>Die gezeigte Seite</translation></message>
    <message><source>The page before</source><translation>Die Seite davor</translation></message>
    <message><source>The next page</source><translation>Die nächste Seite</translation></message>
    <message><source>Close</source><translation>Schließen</translation></message>
</context>
<context>
    <name>KeyList</name>
    <message><source>Keys</source><translation>Tasten</translation></message>
</context>
<context>
    <name>Legend</name>
    <message><source>Click: hide or show a class. Shift and click: that class alone.</source><translation>Klick: Klasse verbergen oder zeigen. Umschalt und Klick: nur diese Klasse.</translation></message>
</context>
<context>
    <name>Panel</name>
    <message><source>The bundle: a trained network with everything it needs</source><translation>Das Modell: ein trainiertes Netz mit allem, was es braucht</translation></message>
    <message><source>What executes the network</source><translation>Was das Netz ausführt</translation></message>
    <message><source>Where the borders between labels are drawn</source><translation>Wo die Ränder zwischen Klassen gezeichnet werden</translation></message>
    <message><source>Borders</source><translation>Ränder</translation></message>
    <message><source>How features of the last key frame are propagated to this one</source><translation>Wie Merkmale des letzten Schlüsselbilds auf dieses übertragen werden</translation></message>
    <message><source>Whether a key frame waits for its own deep stage</source><translation>Ob ein Schlüsselbild auf seine eigene tiefe Stufe wartet</translation></message>
    <message><source>What the picture area shows</source><translation>Was im Bildbereich steht</translation></message>
    <message><source>How much of the picture the labels cover</source><translation>Wie viel des Bildes die Farben decken</translation></message>
    <message><source>This frame</source><translation>Dieses Bild</translation></message>
    <message><source>Decision</source><translation>Entscheidung</translation></message>
    <message><source>Key frames</source><translation>Schlüsselbilder</translation></message>
    <message><source>Feature age</source><translation>Merkmalsalter</translation></message>
    <message><source>Dropped</source><translation>Verworfen</translation></message>
    <message><source>mIoU, live</source><translation>mIoU, live</translation></message>
    <message><source>Network</source><translation>Netz</translation></message>
    <message><source>Overlay</source><translation>Überlagerung</translation></message>
    <message><source>Classes · share of the picture</source><translation>Klassen · Anteil am Bild</translation></message>
    <message><source>frames / s</source><translation>Bilder / s</translation></message>
    <message><source>ms p50</source><translation>ms p50</translation></message>
    <message><source>ms p95</source><translation>ms p95</translation></message>
    <message><source>The last second: frames shown, and how long half and 95 % of them took from frame to labels</source><translation>Die letzte Sekunde: gezeigte Bilder, und wie lange die Hälfte und 95 % davon vom Bild zu den Klassen brauchten</translation></message>
    <message><source>Bundle</source><translation>Modell</translation></message>
    <message><source>Backend</source><translation>Backend</translation></message>
    <message><source>Propagation</source><translation>Übertragung</translation></message>
    <message><source>Mode</source><translation>Modus</translation></message>
    <message><source>Show</source><translation>Zeigen</translation></message>
    <message><source>Opacity</source><translation>Deckkraft</translation></message>
    <message><source>click: hide   ·   shift + click: alone</source><translation>Klick: verbergen · Umschalt: allein</translation></message>
    <message><source>best here ({0})</source><translation>am besten hier ({0})</translation></message>
    <message><source>best here</source><translation>am besten hier</translation></message>
    <message><source>key frames wait (sync)</source><translation>Schlüsselbilder warten (sync)</translation></message>
    <message><source>never wait (async)</source><translation>nie warten (async)</translation></message>
    <message><source>overlay</source><translation>Überlagerung</translation></message>
    <message><source>mask alone</source><translation>nur die Maske</translation></message>
    <message><source>picture alone</source><translation>nur das Bild</translation></message>
    <message><source> · {0} cold</source><translation> · {0} kalt</translation></message>
    <message><source>{0:.1f} mean · {1} max</source><translation>Ø {0:.1f} · max. {1}</translation></message>
    <message><source>key</source><translation>Schlüssel</translation></message>
    <message><source>age {0}</source><translation>Alter {0}</translation></message>
    <message><source>Preset</source><translation>Vorgabe</translation></message>
    <message><source>custom</source><translation>eigene Wahl</translation></message>
    <message><source>Sets schedule, mode and propagation together, as this bundle can:</source><translation>Setzt Zeitplan, Modus und Übertragung zusammen, wie dieses Modell es kann:</translation></message>
    <message><source>errors</source><translation>Fehler</translation></message>
    <message><source>doubt</source><translation>Zweifel</translation></message>
    <message><source>Confidence</source><translation>Sicherheit</translation></message>
    <message><source> · person</source><translation> · Person</translation></message>
    <message><source>Free up to</source><translation>Frei bis</translation></message>
    <message><source>Road in corridor</source><translation>Straße im Korridor</translation></message>
    <message><source>its top</source><translation>zur Spitze</translation></message>
    <message><source>row {0} · {1}</source><translation>Zeile {0} · {1}</translation></message>
</context>
<context>
    <name>ScheduleBox</name>
    <message><source>What decides on which frames the deep stage runs</source><translation>Was entscheidet, auf welchen Bildern die tiefe Stufe läuft</translation></message>
    <message><source>The schedule's threshold, clock or budget; it acts at once</source><translation>Schwelle, Takt oder Zeit des Zeitplans; wirkt sofort</translation></message>
    <message><source>Schedule</source><translation>Zeitplan</translation></message>
</context>
<context>
    <name>Section</name>
    <message><source>Fold this part away, or open it</source><translation>Diesen Teil einklappen oder öffnen</translation></message>
</context>
<context>
    <name>SeekBar</name>
    <message><source>{0}  frame {1}  —  click or drag to go there; the marks are key frames</source><translation>{0}  Bild {1}  —  klicken oder ziehen, um dorthin zu gehen; die Marken sind Schlüsselbilder</translation></message>
</context>
<context>
    <name>SourcePage</name>
    <message><source>Source</source><translation>Quelle</translation></message>
    <message><source>Picture</source><translation>Bild</translation></message>
    <message><source>Frame rate</source><translation>Bildrate</translation></message>
    <message><source>Kind</source><translation>Art</translation></message>
    <message><source>Frame</source><translation>Bild</translation></message>
    <message><source>Decoding</source><translation>Dekodierung</translation></message>
    <message><source>Dropped so far</source><translation>Bisher verworfen</translation></message>
    <message><source>Jumps, reconnects</source><translation>Sprünge, neu verbunden</translation></message>
    <message><source>Note</source><translation>Hinweis</translation></message>
    <message><source>Ms between frames shown, and frames dropped · last frames</source><translation>Ms zwischen gezeigten Bildern, und verworfene · letzte Bilder</translation></message>
    <message><source>{0:g} nominal · {1:.1f} shown</source><translation>{0:g} nominal · {1:.1f} gezeigt</translation></message>
    <message><source>live: late frames are dropped</source><translation>live: späte Bilder werden verworfen</translation></message>
    <message><source>recorded</source><translation>aufgezeichnet</translation></message>
    <message><source>{0:.1f} / {1:.1f} ms</source><translation>{0:.1f} / {1:.1f} ms</translation></message>
    <message><source>{0:g} ms</source><translation>{0:g} ms</translation></message>
</context>
<context>
    <name>Strip</name>
    <message><source>key</source><translation>Schlüssel</translation></message>
    <message><source>{0:g} ms</source><translation>{0:g} ms</translation></message>
    <message><source>score {0:g}</source><translation>Wert {0:g}</translation></message>
    <message><source>no score</source><translation>kein Wert</translation></message>
    <message><source>age {0:g}</source><translation>Alter {0:g}</translation></message>
    <message><source>sure {0:.0%}</source><translation>sicher {0:.0%}</translation></message>
    <message><source>  —  click to stop there</source><translation>  —  Klick hält dort an</translation></message>
    <message><source>refreshed for:</source><translation>erneuert wegen:</translation></message>
    <message><source>person in the corridor</source><translation>Person im Korridor</translation></message>
    <message><source>every frame is computed anew. Faint, {0:.0%}: hardly any labels had changed</source><translation>jedes Bild wird neu berechnet. Blass, {0:.0%}: kaum ein Label war anders</translation></message>
    <message><source>the preset {0} computes less, and is less accurate</source><translation>die Vorgabe {0} rechnet weniger und ist ungenauer</translation></message>
</context>
<context>
    <name>Timings</name>
    <message><source>Stages · ms, p50 / p95</source><translation>Stufen · ms, p50 / p95</translation></message>
    <message><source>Frame to labels · ms, how often</source><translation>Vom Bild zu den Klassen · ms, wie oft</translation></message>
    <message><source>p50 {0:.1f} ms · p95 {1:.1f} ms · p99 {2:.1f} ms · of the last {3} frames</source><translation>p50 {0:.1f} ms · p95 {1:.1f} ms · p99 {2:.1f} ms · der letzten {3} Bilder</translation></message>
</context>
<context>
    <name>Transport</name>
    <message><source>Playback speed</source><translation>Geschwindigkeit</translation></message>
    <message><source>live · #{0}</source><translation>live · #{0}</translation></message>
    <message><source>frame {0} of {1}</source><translation>Bild {0} von {1}</translation></message>
</context>
<context>
    <name>TroubleBar</name>
    <message><source>Show folder</source><translation>Ordner zeigen</translation></message>
</context>
<context>
    <name>_Table</name>
    <message><source>Bundle</source><translation>Modell</translation></message>
    <message><source>Schedule</source><translation>Zeitplan</translation></message>
    <message><source>Mode</source><translation>Modus</translation></message>
    <message><source>ms p50</source><translation>ms p50</translation></message>
    <message><source>ms p95</source><translation>ms p95</translation></message>
    <message><source>Key frames</source><translation>Schlüsselbilder</translation></message>
    <message><source>Mean age</source><translation>Mittleres Alter</translation></message>
    <message><source>Deep stage</source><translation>Tiefe Stufe</translation></message>
    <message><source>A, this</source><translation>A, dieser Lauf</translation></message>
    <message><source>B, the other</source><translation>B, der andere</translation></message>
</context>
<context>
    <name>actions</name>
    <message><source>Open video file …</source><translation>Videodatei öffnen …</translation></message>
    <message><source>Play a video file or a picture</source><translation>Eine Videodatei oder ein Bild spielen</translation></message>
    <message><source>Open folder of pictures …</source><translation>Ordner mit Bildern öffnen …</translation></message>
    <message><source>Play the pictures of a folder, in the order of their names</source><translation>Die Bilder eines Ordners spielen, in der Reihenfolge ihrer Namen</translation></message>
    <message><source>Open camera or address …</source><translation>Kamera oder Adresse öffnen …</translation></message>
    <message><source>A camera by its number, a network stream by its address, or demo:</source><translation>Eine Kamera mit ihrer Nummer, ein Stream mit seiner Adresse, oder demo:</translation></message>
    <message><source>Take a snapshot</source><translation>Schnappschuss</translation></message>
    <message><source>Save this frame: picture, overlay, mask and its numbers as JSON</source><translation>Dieses Bild speichern: Bild, Überlagerung, Maske und seine Zahlen als JSON</translation></message>
    <message><source>Record</source><translation>Aufnehmen</translation></message>
    <message><source>Record the overlay, or A and B as they are shown, as a video until pressed again</source><translation>Die Überlagerung, oder A und B wie gezeigt, als Video aufnehmen, bis noch einmal gedrückt wird</translation></message>
    <message><source>Legend and latency in recordings</source><translation>Legende und Latenz in Aufnahmen</translation></message>
    <message><source>Draw the classes, what runs, its latency and the age of its features into what is recorded</source><translation>Die Klassen, was läuft, dessen Latenz und das Alter der Merkmale in die Aufnahme zeichnen</translation></message>
    <message><source>Folder for snapshots and recordings …</source><translation>Ordner für Schnappschüsse und Aufnahmen …</translation></message>
    <message><source>Where snapshots and recordings are written</source><translation>Wohin Schnappschüsse und Aufnahmen geschrieben werden</translation></message>
    <message><source>Quit</source><translation>Beenden</translation></message>
    <message><source>Close the window and end the run</source><translation>Das Fenster schließen und den Lauf beenden</translation></message>
    <message><source>Pause</source><translation>Pause</translation></message>
    <message><source>Pause, or play on; at the end: play again</source><translation>Anhalten oder weiterspielen; am Ende: noch einmal spielen</translation></message>
    <message><source>One frame on</source><translation>Ein Bild weiter</translation></message>
    <message><source>Pause and show the next frame</source><translation>Anhalten und das nächste Bild zeigen</translation></message>
    <message><source>One frame back</source><translation>Ein Bild zurück</translation></message>
    <message><source>Pause and show the frame before</source><translation>Anhalten und das vorige Bild zeigen</translation></message>
    <message><source>5 seconds on</source><translation>5 Sekunden weiter</translation></message>
    <message><source>Jump 5 seconds ahead</source><translation>5 Sekunden vorspringen</translation></message>
    <message><source>5 seconds back</source><translation>5 Sekunden zurück</translation></message>
    <message><source>Jump 5 seconds back</source><translation>5 Sekunden zurückspringen</translation></message>
    <message><source>To the beginning</source><translation>Zum Anfang</translation></message>
    <message><source>Jump to the first frame</source><translation>Zum ersten Bild springen</translation></message>
    <message><source>Slower</source><translation>Langsamer</translation></message>
    <message><source>Play more slowly</source><translation>Langsamer spielen</translation></message>
    <message><source>Faster</source><translation>Schneller</translation></message>
    <message><source>Play faster</source><translation>Schneller spielen</translation></message>
    <message><source>Normal speed</source><translation>Normale Geschwindigkeit</translation></message>
    <message><source>Play at the file's own speed</source><translation>So schnell spielen, wie die Datei es vorgibt</translation></message>
    <message><source>Loop</source><translation>Schleife</translation></message>
    <message><source>Begin again at the end</source><translation>Am Ende von vorn beginnen</translation></message>
    <message><source>Overlay, mask or picture</source><translation>Überlagerung, Maske oder Bild</translation></message>
    <message><source>Show the overlay, the mask alone, the picture alone, the errors or the doubt, in turn</source><translation>Überlagerung, nur die Maske, nur das Bild, die Fehler oder die Zweifel zeigen, im Wechsel</translation></message>
    <message><source>Doubt map</source><translation>Zweifel</translation></message>
    <message><source>Show how unsure the network is of each label; it is told to say so if it does not</source><translation>Zeigen, wie unsicher sich das Netz jeder Klasse ist; es wird dazu gebracht, wenn es das nicht sagt</translation></message>
    <message><source>More opacity</source><translation>Mehr Deckkraft</translation></message>
    <message><source>Let the labels cover more of the picture</source><translation>Die Farben mehr vom Bild decken lassen</translation></message>
    <message><source>Less opacity</source><translation>Weniger Deckkraft</translation></message>
    <message><source>Let more of the picture through</source><translation>Mehr vom Bild durchscheinen lassen</translation></message>
    <message><source>Contours only</source><translation>Nur Umrisse</translation></message>
    <message><source>Draw the borders of the areas instead of filling them</source><translation>Die Grenzen der Flächen zeichnen, statt sie zu füllen</translation></message>
    <message><source>Clear colours</source><translation>Klare Farben</translation></message>
    <message><source>Colours that every eye tells apart over the picture, instead of the network's own</source><translation>Farben, die jedes Auge über dem Bild unterscheidet, statt der eigenen des Netzes</translation></message>
    <message><source>Show all classes</source><translation>Alle Klassen zeigen</translation></message>
    <message><source>Bring back the classes that were hidden in the legend</source><translation>Die Klassen zurückholen, die in der Legende verborgen wurden</translation></message>
    <message><source>Refresh now</source><translation>Jetzt erneuern</translation></message>
    <message><source>Make the next frame a key frame: run the deep stage on it</source><translation>Das nächste Bild zum Schlüsselbild machen: die tiefe Stufe darauf ausführen</translation></message>
    <message><source>Next bundle</source><translation>Nächstes Modell</translation></message>
    <message><source>Run the next model</source><translation>Das nächste Modell ausführen</translation></message>
    <message><source>Next backend</source><translation>Nächstes Backend</translation></message>
    <message><source>Run the network on the next backend</source><translation>Das Netz auf dem nächsten Backend ausführen</translation></message>
    <message><source>Next propagation</source><translation>Nächste Übertragung</translation></message>
    <message><source>Propagate old features to new frames in the next way that the bundle has</source><translation>Alte Merkmale auf die nächste Art, die das Modell hat, auf neue Bilder übertragen</translation></message>
    <message><source>Next schedule</source><translation>Nächster Zeitplan</translation></message>
    <message><source>Decide on key frames by the next kind of schedule</source><translation>Über Schlüsselbilder mit der nächsten Art von Zeitplan entscheiden</translation></message>
    <message><source>Raise the schedule's number</source><translation>Zahl des Zeitplans erhöhen</translation></message>
    <message><source>A higher threshold, longer clock or larger budget</source><translation>Höhere Schwelle, längerer Takt oder mehr Zeit</translation></message>
    <message><source>Lower the schedule's number</source><translation>Zahl des Zeitplans verringern</translation></message>
    <message><source>A lower threshold, shorter clock or smaller budget</source><translation>Niedrigere Schwelle, kürzerer Takt oder weniger Zeit</translation></message>
    <message><source>Frames never wait (async)</source><translation>Bilder warten nie (async)</translation></message>
    <message><source>Run the deep stage beside the frames instead of letting key frames wait for it</source><translation>Die tiefe Stufe neben den Bildern ausführen, statt Schlüsselbilder auf sie warten zu lassen</translation></message>
    <message><source>Next borders</source><translation>Nächste Ränder</translation></message>
    <message><source>Draw the borders between labels as the network's cells, along the picture's edges, or smooth (--refine), which costs some milliseconds</source><translation>Die Ränder zwischen Klassen als Zellen des Netzes, entlang der Kanten des Bildes oder glatt zeichnen (--refine), was einige Millisekunden kostet</translation></message>
    <message><source>Tell confidence</source><translation>Sicherheit angeben</translation></message>
    <message><source>Let the network say how sure it is of each label, and which class came second (--confidence), which costs some of its time</source><translation>Das Netz sagen lassen, wie sicher es jeder Klasse ist und welche die zweite war (--confidence), was etwas von seiner Zeit kostet</translation></message>
    <message><source>A/B</source><translation>A/B</translation></message>
    <message><source>Compare with another way to run, on the same frames; drag the divider</source><translation>Mit einem anderen Lauf vergleichen, auf denselben Bildern; die Trennlinie ziehen</translation></message>
    <message><source>Difference map</source><translation>Unterschiede</translation></message>
    <message><source>Show where the two label differently, instead of the divider</source><translation>Zeigen, wo beide sich unterscheiden, statt der Trennlinie</translation></message>
    <message><source>Audit</source><translation>Prüfung</translation></message>
    <message><source>In spare time, compare with the full network: agreement by age, without true labels</source><translation>In freier Zeit mit dem ganzen Netz vergleichen: Übereinstimmung nach Alter, ohne wahre Klassen</translation></message>
    <message><source>Inspect</source><translation>Einblick</translation></message>
    <message><source>Where the time goes and how old the mask is</source><translation>Wohin die Zeit geht und wie alt die Maske ist</translation></message>
    <message><source>Timings</source><translation>Zeiten</translation></message>
    <message><source>Open this page of the inspector</source><translation>Diese Seite des Einblicks öffnen</translation></message>
    <message><source>Cache</source><translation>Speicher</translation></message>
    <message><source>Source</source><translation>Quelle</translation></message>
    <message><source>Engine</source><translation>Engine</translation></message>
    <message><source>Class areas</source><translation>Klassenanteile</translation></message>
    <message><source>Audit by age</source><translation>Prüfung nach Alter</translation></message>
    <message><source>A/B numbers</source><translation>A/B in Zahlen</translation></message>
    <message><source>Save class areas as CSV …</source><translation>Klassenanteile als CSV speichern …</translation></message>
    <message><source>Each class's share of the last ten minutes' frames</source><translation>Der Anteil jeder Klasse an den Bildern der letzten zehn Minuten</translation></message>
    <message><source>Controls</source><translation>Bedienfeld</translation></message>
    <message><source>Show or hide the controls at the right</source><translation>Das Bedienfeld rechts zeigen oder verbergen</translation></message>
    <message><source>Time line</source><translation>Zeitleiste</translation></message>
    <message><source>Show or hide the last 600 frames under the picture</source><translation>Die letzten 600 Bilder unter dem Bild zeigen oder verbergen</translation></message>
    <message><source>Full screen</source><translation>Vollbild</translation></message>
    <message><source>Fill the screen with the picture, or leave it</source><translation>Den Bildschirm mit dem Bild füllen, oder ihn verlassen</translation></message>
    <message><source>Picture alone</source><translation>Nur das Bild</translation></message>
    <message><source>Hide everything around the picture, or bring it back</source><translation>Alles um das Bild herum verbergen, oder zurückholen</translation></message>
    <message><source>Dark or light</source><translation>Dunkel oder hell</translation></message>
    <message><source>Change between the dark and the light window</source><translation>Zwischen dunklem und hellem Fenster wechseln</translation></message>
    <message><source>Keys</source><translation>Tasten</translation></message>
    <message><source>List every key</source><translation>Alle Tasten aufzählen</translation></message>
    <message><source>About drive_seg</source><translation>Über drive_seg</translation></message>
    <message><source>Version, licence and what runs</source><translation>Version, Lizenz und was läuft</translation></message>
    <message><source>Dismiss the message</source><translation>Meldung schließen</translation></message>
    <message><source>Close the message over the picture</source><translation>Die Meldung über dem Bild schließen</translation></message>
    <message><source>Close help, leave full screen</source><translation>Hilfe schließen, Vollbild verlassen</translation></message>
    <message><source>Close what lies over the picture, then leave full screen</source><translation>Schließen, was über dem Bild liegt, dann das Vollbild verlassen</translation></message>
    <message><source>&amp;Source</source><translation>&amp;Quelle</translation></message>
    <message><source>&amp;Playback</source><translation>&amp;Wiedergabe</translation></message>
    <message><source>Pi&amp;cture</source><translation>&amp;Bild</translation></message>
    <message><source>&amp;Network</source><translation>&amp;Netz</translation></message>
    <message><source>C&amp;ompare</source><translation>&amp;Vergleich</translation></message>
    <message><source>&amp;Inspect</source><translation>&amp;Einblick</translation></message>
    <message><source>&amp;Window</source><translation>&amp;Fenster</translation></message>
    <message><source>&amp;Help</source><translation>&amp;Hilfe</translation></message>
    <message><source>Play</source><translation>Abspielen</translation></message>
    <message><source>Play again</source><translation>Noch einmal</translation></message>
    <message><source>Copy the picture</source><translation>Bild kopieren</translation></message>
    <message><source>Copy the picture as it is shown, with its overlay, at the frame's size</source><translation>Das Bild kopieren, wie es gezeigt wird, mit seiner Überlagerung, in der Größe des Bildes</translation></message>
    <message><source>Copy as a command line</source><translation>Als Befehlszeile kopieren</translation></message>
    <message><source>Copy the command that starts this run again, with every choice made here</source><translation>Den Befehl kopieren, der diesen Lauf wieder beginnt, mit jeder hier getroffenen Wahl</translation></message>
    <message><source>Enlarge</source><translation>Vergrößern</translation></message>
    <message><source>Enlarge the picture; the wheel does it under the pointer, dragging moves it</source><translation>Das Bild vergrößern; das Mausrad tut es unter dem Zeiger, Ziehen verschiebt es</translation></message>
    <message><source>Reduce</source><translation>Verkleinern</translation></message>
    <message><source>Reduce the picture until it fits</source><translation>Das Bild verkleinern, bis es hineinpasst</translation></message>
    <message><source>Actual size</source><translation>Originalgröße</translation></message>
    <message><source>Show a pixel of the frame on one of the screen</source><translation>Einen Bildpunkt auf einem des Bildschirms zeigen</translation></message>
    <message><source>Fit</source><translation>Einpassen</translation></message>
    <message><source>Show the whole picture, as large as there is room</source><translation>Das ganze Bild zeigen, so groß wie Platz ist</translation></message>
    <message><source>Error map</source><translation>Fehlerkarte</translation></message>
    <message><source>Show what is right and what is wrong, where the source knows the true labels</source><translation>Zeigen, was richtig und was falsch ist, wo die Quelle die wahren Labels kennt</translation></message>
    <message><source>Next frame with a large error</source><translation>Nächstes Bild mit großem Fehler</translation></message>
    <message><source>Play on to the next frame with half as many wrong pixels again as all so far, and stand there</source><translation>Weiterspielen bis zum nächsten Bild mit anderthalbmal so vielen falschen Bildpunkten wie alle bisher, und dort stehen bleiben</translation></message>
    <message><source>Accuracy</source><translation>Genauigkeit</translation></message>
    <message><source>10 seconds on</source><translation>10 Sekunden vor</translation></message>
    <message><source>Jump 10 seconds ahead</source><translation>10 Sekunden vorspringen</translation></message>
    <message><source>10 seconds back</source><translation>10 Sekunden zurück</translation></message>
    <message><source>Jump 10 seconds back</source><translation>10 Sekunden zurückspringen</translation></message>
    <message><source>To the end</source><translation>Zum Ende</translation></message>
    <message><source>Stop at the last frame</source><translation>Am letzten Bild stehen bleiben</translation></message>
    <message><source>Go to a frame …</source><translation>Gehe zu Bild …</translation></message>
    <message><source>Stop at the frame of a number</source><translation>Am Bild einer Nummer stehen bleiben</translation></message>
    <message><source>Loop from A to B</source><translation>Schleife von A nach B</translation></message>
    <message><source>Begin a part here, end it here and play it again and again, or forget it, in turn</source><translation>Hier einen Abschnitt beginnen, ihn hier enden und immer wieder spielen, oder ihn vergessen, im Wechsel</translation></message>
    <message><source>End of the part: B</source><translation>Ende des Abschnitts: B</translation></message>
    <message><source>Forget the part from A to B</source><translation>Abschnitt von A nach B vergessen</translation></message>
    <message><source>Road ahead</source><translation>Straße voraus</translation></message>
    <message><source>Show the free space in front, and what is in the ego corridor; drag the corridor's three points to where the car drives</source><translation>Zeigt den freien Raum voraus und was im Fahrkorridor ist; seine drei Punkte dorthin ziehen, wo das Auto fährt</translation></message>
    <message><source>Next point of the corridor</source><translation>Nächster Punkt des Korridors</translation></message>
    <message><source>Let the arrow keys move the left foot, the right foot or the apex of the corridor (with shift farther), or none, in turn</source><translation>Lässt die Pfeiltasten der Reihe nach den linken Fuß, den rechten Fuß oder die Spitze des Korridors bewegen (mit Umschalt weiter), oder nichts</translation></message>
    <message><source>Usual corridor</source><translation>Üblicher Korridor</translation></message>
    <message><source>Put the corridor back to where most cameras see it</source><translation>Legt den Korridor zurück dorthin, wo ihn die meisten Kameras sehen</translation></message>
    <message><source>Next person in the corridor</source><translation>Nächste Person im Korridor</translation></message>
    <message><source>Stand at the next frame with which somebody comes into the corridor; what was not played yet is played on to it</source><translation>Hält beim nächsten Bild, mit dem jemand in den Korridor kommt; was noch nicht gespielt wurde, wird bis dorthin gespielt</translation></message>
    <message><source>Person in the corridor before</source><translation>Vorige Person im Korridor</translation></message>
    <message><source>Stand at the frame before with which somebody came</source><translation>Hält beim vorigen Bild, mit dem jemand kam</translation></message>
    <message><source>Road ahead in recordings and copies</source><translation>Straße voraus in Aufnahmen und Kopien</translation></message>
    <message><source>Draw what is shown of the road ahead into what is recorded or copied, too</source><translation>Was von der Straße voraus gezeigt wird, auch in Aufnahmen und Kopien zeichnen</translation></message>
</context>
<context>
    <name>ui</name>
    <message><source>{0} dropped</source><translation>{0} verworfen</translation></message>
    <message><source>{0} cameras – {1}</source><translation>{0} Kameras – {1}</translation></message>
    <message><source>needs {0}; {1}</source><translation>braucht {0}; {1}</translation></message>
    <message><source>Open a video or a picture</source><translation>Video oder Bild öffnen</translation></message>
    <message><source>Videos and pictures ({0});;All files (*)</source><translation>Videos und Bilder ({0});;Alle Dateien (*)</translation></message>
    <message><source>Open a folder of pictures</source><translation>Ordner mit Bildern öffnen</translation></message>
    <message><source>Where snapshots and recordings go</source><translation>Wohin Schnappschüsse und Aufnahmen kommen</translation></message>
    <message><source>Save class areas</source><translation>Klassenanteile speichern</translation></message>
    <message><source>CSV ({0})</source><translation>CSV ({0})</translation></message>
    <message><source>pink: where A and B differ</source><translation>rosa: wo A und B sich unterscheiden</translation></message>
    <message><source>Real-time semantic segmentation of driving video.</source><translation>Semantische Segmentierung von Fahrvideos in Echtzeit.</translation></message>
    <message><source>The program: GPL 3.0 or later. The weights have licences of their own, which the page Engine shows.</source><translation>Das Programm: GPL 3.0 oder neuer. Die Gewichte haben eigene Lizenzen, die auf der Seite Engine stehen.</translation></message>
    <message><source>About drive_seg</source><translation>Über drive_seg</translation></message>
    <message><source>the window itself failed: {0}: {1}; please report it</source><translation>das Fenster selbst ist gescheitert: {0}: {1}; bitte melden</translation></message>
    <message><source>snapshots</source><translation>Schnappschüsse</translation></message>
    <message><source>class areas</source><translation>Klassenanteile</translation></message>
    <message><source>recorded {0}</source><translation>aufgenommen: {0}</translation></message>
    <message><source>{0}: cannot be made ({1}); choose another folder in the menu Source</source><translation>{0}: kann nicht angelegt werden ({1}); wählen Sie einen anderen Ordner im Menü Quelle</translation></message>
    <message><source>saved {0} in {1}</source><translation>gespeichert: {0} in {1}</translation></message>
    <message><source>?  all keys</source><translation>?  alle Tasten</translation></message>
    <message><source>loading {0} …</source><translation>{0} wird geladen …</translation></message>
    <message><source>falling behind: {0:.0f} of {1:.0f} frames / s</source><translation>kommt nicht nach: {0:.0f} von {1:.0f} Bildern / s</translation></message>
    <message><source>recording {0} {1}</source><translation>nimmt auf: {0} {1}</translation></message>
    <message><source>Waiting for {0} …</source><translation>Warten auf {0} …</translation></message>
    <message><source>Nothing to show. Drop a video or a folder of pictures here, or press Ctrl+O.</source><translation>Nichts zu zeigen. Ziehen Sie ein Video oder einen Ordner mit Bildern hierher, oder drücken Sie Strg+O.</translation></message>
    <message><source>opening</source><translation>öffnet</translation></message>
    <message><source>playing</source><translation>spielt</translation></message>
    <message><source>paused</source><translation>angehalten</translation></message>
    <message><source>reconnecting</source><translation>verbindet neu</translation></message>
    <message><source>connecting</source><translation>verbindet</translation></message>
    <message><source>{0} since {1}, try {2}</source><translation>{0} seit {1}, Versuch {2}</translation></message>
    <message><source>connecting to {0} since {1}, try {2}</source><translation>verbindet mit {0} seit {1}, Versuch {2}</translation></message>
    <message><source>ended</source><translation>zu Ende</translation></message>
    <message><source>failed</source><translation>gescheitert</translation></message>
    <message><source>Opened lately</source><translation>Zuletzt geöffnet</translation></message>
    <message><source>nothing was saved: {0}</source><translation>nichts wurde gespeichert: {0}</translation></message>
    <message><source>nothing yet</source><translation>noch nichts</translation></message>
    <message><source>change, score</source><translation>Änderung, Wert</translation></message>
    <message><source>age</source><translation>Alter</translation></message>
    <message><source>clock, budget</source><translation>Takt, Zeit</translation></message>
    <message><source>scene cut</source><translation>Szenenwechsel</translation></message>
    <message><source>by hand</source><translation>von Hand</translation></message>
    <message><source>jump, reconnect</source><translation>Sprung, neu verbunden</translation></message>
    <message><source>first</source><translation>erstes</translation></message>
    <message><source>frame {0} · {1:.1f} ms</source><translation>Bild {0} · {1:.1f} ms</translation></message>
    <message><source>, waited for the deep stage</source><translation>, wartete auf die tiefe Stufe</translation></message>
    <message><source>key frame ({0})</source><translation>Schlüsselbild ({0})</translation></message>
    <message><source>no key frame ({0})</source><translation>kein Schlüsselbild ({0})</translation></message>
    <message><source>feature age {0}</source><translation>Alter der Merkmale {0}</translation></message>
    <message><source>decode</source><translation>Dekodierung</translation></message>
    <message><source>preprocess</source><translation>Vorbereitung</translation></message>
    <message><source>low</source><translation>flach</translation></message>
    <message><source>mid</source><translation>mittel</translation></message>
    <message><source>high (deep)</source><translation>tief</translation></message>
    <message><source>propagate</source><translation>Übertragung</translation></message>
    <message><source>head</source><translation>Kopf</translation></message>
    <message><source>refine</source><translation>Kanten</translation></message>
    <message><source>overlay</source><translation>Überlagerung</translation></message>
    <message><source>every frame</source><translation>jedes Bild</translation></message>
    <message><source>fixed clock</source><translation>fester Takt</translation></message>
    <message><source>every Nth frame</source><translation>jedes N-te Bild</translation></message>
    <message><source>refresh every {0:.0f} frames</source><translation>erneuert alle {0:.0f} Bilder</translation></message>
    <message><source>a clock a stage</source><translation>ein Takt je Stufe</translation></message>
    <message><source>every Nth for `high`, every Mth for `mid`, in networks with a second cached stage; each a multiple of the one before</source><translation>jedes N-te für `high`, jedes M-te für `mid`, in Netzen mit einer zweiten gespeicherten Stufe; jedes ein Vielfaches des vorigen</translation></message>
    <message><source>pipelined</source><translation>im Fließband</translation></message>
    <message><source>every frame, but its context is used one frame later; with `=3` two</source><translation>jedes Bild, doch sein Kontext wird ein Bild später benutzt; mit `=3` zwei</translation></message>
    <message><source>when labels change</source><translation>bei geänderten Klassen</translation></message>
    <message><source>when more than this share of the labels has changed since the last one</source><translation>wenn sich mehr als dieser Anteil der Klassen seit dem letzten geändert hat</translation></message>
    <message><source>refresh at {0:.1%} changed labels</source><translation>erneuert bei {0:.1%} geänderten Klassen</translation></message>
    <message><source>learned selector</source><translation>gelernte Auswahl</translation></message>
    <message><source>when the network forecasts that more labels than this share differ from the last key frame's</source><translation>wenn das Netz voraussagt, dass mehr als dieser Anteil der Klassen vom letzten Schlüsselbild abweicht</translation></message>
    <message><source>refresh at a score of {0:.3f}</source><translation>erneuert bei einem Wert von {0:.3f}</translation></message>
    <message><source>time budget</source><translation>Zeitbudget</translation></message>
    <message><source>as many as fit into this time, or `30fps`, on average, those first that need it most</source><translation>so viele, wie im Mittel in diese Zeit oder in `30fps` passen, die nötigsten zuerst</translation></message>
    <message><source>{0:.0f} ms a frame on average</source><translation>{0:.0f} ms je Bild im Mittel</translation></message>
    <message><source>NVIDIA GPUs</source><translation>GPUs von NVIDIA</translation></message>
    <message><source>any CPU, and Intel's GPUs</source><translation>jede CPU, und GPUs von Intel</translation></message>
    <message><source>CPUs, and GPUs by CUDA</source><translation>CPUs, und GPUs mit CUDA</translation></message>
    <message><source>CPUs, and GPUs by CUDA; for comparison</source><translation>CPUs, und GPUs mit CUDA; zum Vergleich</translation></message>
    <message><source>they follow the picture's edges: a guided filter</source><translation>sie folgen den Kanten des Bildes: ein geführtes Filter</translation></message>
    <message><source>they lie where two classes are equally probable: probabilities enlarged before they are compared</source><translation>sie liegen, wo zwei Klassen gleich wahrscheinlich sind: vergrößerte Wahrscheinlichkeiten werden verglichen</translation></message>
    <message><source>it stays where it was; this frame's own features make the best of it</source><translation>er bleibt, wo er war; die eigenen Merkmale dieses Bildes machen das Beste daraus</translation></message>
    <message><source>it is warped along optical flow (DIS), followed from frame to frame</source><translation>er wird mit dem optischen Fluss (DIS) verschoben, von Bild zu Bild verfolgt</translation></message>
    <message><source>warped; each channel is weighed against this frame's own features</source><translation>verschoben; jeder Kanal wird gegen die eigenen Merkmale dieses Bildes abgewogen</translation></message>
    <message><source>each cell gathers it from where the key frame looked as the cell looks now</source><translation>jede Zelle sammelt ihn dort, wo das Schlüsselbild so aussah wie die Zelle jetzt</translation></message>
    <message><source>a gated unit moves it on by a step a frame</source><translation>eine Einheit mit Toren führt ihn mit jedem Bild einen Schritt weiter</translation></message>
    <message><source>truth {0}</source><translation>Wahrheit {0}</translation></message>
    <message><source>x {0}, y {1}</source><translation>x {0}, y {1}</translation></message>
    <message><source>frame {0}</source><translation>Bild {0}</translation></message>
    <message><source>{0}, {1:.0%} sure, then {2}</source><translation>{0}, zu {1:.0%} sicher, dann {2}</translation></message>
    <message><source>{0:.0%} sure</source><translation>zu {0:.0%} sicher</translation></message>
    <message><source>feature age {0} ({1:.0f} ms)</source><translation>Merkmalsalter {0} ({1:.0f} ms)</translation></message>
    <message><source>void</source><translation>ungültig</translation></message>
    <message><source>copied the picture, {0} x {1}</source><translation>Bild kopiert, {0} x {1}</translation></message>
    <message><source>copied: {0}</source><translation>kopiert: {0}</translation></message>
    <message><source>best accuracy</source><translation>am genauesten</translation></message>
    <message><source>balanced</source><translation>ausgewogen</translation></message>
    <message><source>least work</source><translation>am wenigsten Arbeit</translation></message>
    <message><source>fixed budget</source><translation>festes Zeitbudget</translation></message>
    <message><source>frame {0}: {1:.1%} of its pixels are wrong, of all frames so far {2:.1%}</source><translation>Bild {0}: {1:.1%} seiner Bildpunkte sind falsch, von allen Bildern bisher {2:.1%}</translation></message>
    <message><source>no other frame with a large error up to the end</source><translation>kein weiteres Bild mit großem Fehler bis zum Ende</translation></message>
    <message><source>blue: right · orange: wrong · grey: void</source><translation>blau: richtig · orange: falsch · grau: ungültig</translation></message>
    <message><source>unlike what the network learned: {0:.0%} sure</source><translation>anders als das Gelernte: zu {0:.0%} sicher</translation></message>
    <message><source>dark: sure · bright: half sure or less</source><translation>dunkel: sicher · hell: halb sicher oder weniger</translation></message>
    <message><source>Go to a frame</source><translation>Gehe zu einem Bild</translation></message>
    <message><source>Frame, 0 to {0}</source><translation>Bild, 0 bis {0}</translation></message>
    <message><source> · person in the corridor</source><translation> · Person im Korridor</translation></message>
    <message><source>nobody came into the corridor before this frame, among those that were played</source><translation>vor diesem Bild kam niemand in den Korridor, unter den gespielten</translation></message>
    <message><source>nobody else comes into the corridor up to the end</source><translation>bis zum Ende kommt niemand mehr in den Korridor</translation></message>
    <message><source>{0} has no class that is the road, so nothing is known of the road ahead; choose another bundle</source><translation>{0} hat keine Klasse für die Straße, also ist über die Straße voraus nichts bekannt; ein anderes Modell wählen</translation></message>
    <message><source>first frame</source><translation>erstes Bild</translation></message>
    <message><source>frame size changed</source><translation>Bildgröße hat gewechselt</translation></message>
    <message><source>source jumped or reconnected</source><translation>Quelle ist gesprungen oder neu verbunden</translation></message>
    <message><source>gap in time</source><translation>Lücke in der Zeit</translation></message>
    <message><source>asked for</source><translation>verlangt</translation></message>
    <message><source>{0}, another camera needs it more</source><translation>{0}, eine andere Kamera braucht es mehr</translation></message>
    <message><source>a refresh is under way</source><translation>wird schon erneuert</translation></message>
    <message><source>a refresh is under way, {0}</source><translation>wird schon erneuert, {0}</translation></message>
    <message><source>age {0} of {1}</source><translation>Alter {0} von {1}</translation></message>
    <message><source>mid due, {0}</source><translation>mid fällig, {0}</translation></message>
    <message><source>pipelined in {0} stages</source><translation>in {0} Stufen gestaffelt</translation></message>
    <message><source>fits into {0:.0f} ms</source><translation>passt in {0:.0f} ms</translation></message>
    <message><source>{0:.0f} ms saved of {1:.0f}</source><translation>{0:.0f} ms gespart von {1:.0f}</translation></message>
    <message><source>not in the record</source><translation>nicht in der Aufzeichnung</translation></message>
    <message><source>changed {0:.3f} of {1:.3f}</source><translation>geändert {0:.3f} von {1:.3f}</translation></message>
    <message><source>score {0:.3f} of {1:.3f}</source><translation>Wert {0:.3f} von {1:.3f}</translation></message>
    <message><source>no other frame with a large error in a whole round</source><translation>in einer ganzen Runde kein weiteres Bild mit großem Fehler</translation></message>
    <message><source>nobody else comes into the corridor in a whole round</source><translation>in einer ganzen Runde kommt niemand sonst in den Korridor</translation></message>
    <message><source>hardly any labels had changed: {0:.3f} of {1:.3f}</source><translation>kaum ein Label war anders: {0:.3f} von {1:.3f}</translation></message>
    <message><source>Its pages</source><translation>Seine Seiten</translation></message>
</context>
</TS>
