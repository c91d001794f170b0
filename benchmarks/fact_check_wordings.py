"""Questions and answers for `fact_checks.py`, written before the checks and not from their rules.

Each is a question and an answer about one thing that is checked. ``DEVELOPED`` was looked at while
the checks were mended; ``HELD_OUT`` was not, so its numbers are the honest ones. In a wording,
{n} is a number with its noun ("three ships"), {num} the number alone, {N} the same as a sentence's
first word, {be} "is" or "are" with it, {noun} one, {nouns} several; {a} "a ship"; {place} is "top
left" or the like, {word} an adjective; {subject} and {object} are two nouns in the singular,
{relation} "to the left of" or the like.
"""

Wordings = dict[str, tuple[tuple[str, str], ...]]

DEVELOPED: Wordings = {
    "counts": (
        ("How many {nouns} are there in the image?", "There {be} {n} in the image."),
        ("Can you count the {nouns} in this image?", "Yes, there {be} {n} visible in the image."),
        ("How many {nouns} can be seen?", "{N}."),
        ("What is the total number of {nouns}?", "The total number of {nouns} is {num}."),
        ("Please count the {nouns}.", "I can identify {n} in total."),
        ("Describe the image.", "This aerial photograph shows {n} surrounded by open ground."),
        ("What does the picture show?", "The scene features {n}, along with some bare soil."),
        ("Describe what you see.", "A total of {n} can be observed across the frame."),
        ("How many {nouns} does the photo contain?", "It contains {num}."),
        ("How many {nouns} do you see?", "I see {num} of them, all with clear outlines."),
        ("What is the main feature of the scene?", "The main feature of the scene {be} {n}."),
        ("Are there {n} in this image?", "Yes."),
        ("Does the image show {n}?", "Yes, it shows {n}."),
    ),
    "presence": (
        ("Is there {a} in the image?", "Yes, there is {a} in the image."),
        ("Are there any {nouns} here?", "Yes, {nouns} are visible."),
        ("What can be seen?", "{Nouns} can be seen from above."),
        ("Describe the scene.", "The image shows {a} on open ground."),
        ("Can you see {a}?", "Yes, I can see {a}."),
        ("What is in the picture?", "The picture includes {a} and its surroundings."),
        ("Does the image contain any {nouns}?", "Yes, it does."),
    ),
    "absence": (
        ("Is there {a} in the image?", "No, there is no {noun} in the image."),
        ("Are there any {nouns}?", "No, there are no {nouns} visible."),
        ("Can you see any {nouns}?", "No, I cannot see any {nouns}."),
        ("Does the scene include {a}?", "No, it does not."),
        ("Describe the scene.", "The image does not contain any {nouns}."),
        ("What is missing?", "{Nouns} are not present in the scene."),
        ("What is not shown?", "There aren't any {nouns} here."),
    ),
    "places": (
        ("Where is the {noun}?", "The {noun} is in the {place} of the image."),
        ("Where can the {noun} be found?", "It is located in the {place} part of the image."),
        ("Describe the layout.", "In the {place} of the image, there is {a}."),
        ("What is in the {place}?", "There is {a} in the {place} of the picture."),
        ("Describe the image.", "The image shows {a} situated in the {place} area."),
        ("Is the {noun} in the {place} of the image?", "Yes, it is."),
        ("What is the position of the {noun}?", "The {place} of the scene."),
    ),
    "relations": (
        ("Where is the {subject}?", "The {subject} is {relation} the {object}."),
        ("How do they lie?", "The {subject} is located {relation} the {object} in the image."),
        ("Is the {subject} {relation} the {object}?", "Yes, it is {relation} the {object}."),
        ("Describe the layout.", "There is a {subject} {relation} the {object}."),
        ("What is the position of the {subject} relative to the {object}?", "It is {relation} it."),
        ("Is the {subject} {relation} the {object}?", "Yes."),
    ),
    "leaks": (
        ("What color is the {word} {noun}?", "The {noun} is {word}."),
        ("How many of the {num} {nouns} are there?", "There are {num} {nouns}."),
        ("Where is the {noun} in the {place} located?", "It is in the {place}."),
    ),
    "no leaks": (
        ("What color is the {noun}?", "The {noun} is {word}."),
        ("How does the {noun} look?", "It has a {word} surface."),
        ("What surrounds the {noun}?", "The {noun} is surrounded by grass."),
    ),
    "duplicates": (
        ("Where is the {noun}?", "Where is the {noun} located?"),
        ("How many {nouns} are there?", "Can you tell me how many {nouns} there are?"),
        ("What color is the {noun}?", "What color is the {noun} in the image?"),
    ),
    "no duplicates": (
        ("Where is the {subject}?", "Where is the {object}?"),
        ("What color is the {noun}?", "What shape is the {noun}?"),
        (
            "Is the {subject} as large as the {object}?",
            "Is the {object} as large as the {subject}?",
        ),
    ),
    "language": (
        ("Was ist auf dem Bild zu sehen?", "Das Bild zeigt eine offene Fläche mit einigen Wegen."),
        ("¿Qué muestra la imagen?", "La imagen muestra un terreno abierto con algunos caminos."),
        ("图像中有什么？", "图像中有一些草地和一条道路。"),
    ),
    "no language": (
        ("What covers the ground?", "The ground is mostly covered by grass and some bare soil."),
        ("Is it day or night?", "It is day, as the light and the shadows show clearly."),
    ),
}

_SECOND: Wordings = {
    "counts": (
        ("Could you tell me how many {nouns} appear here?", "In this view, {n} can be made out."),
        ("What's the {noun} count?", "The count is {num}."),
        ("Give the number of {nouns}.", "{N} were captured from above."),
        ("Summarise the scene.", "From above we see {n} set in a quiet landscape."),
        ("How numerous are the {nouns}?", "Altogether, the image has {n}."),
        ("What objects are found here?", "One can find {n} here, together with patches of grass."),
        ("Is it possible to count the {nouns}?", "Yes; counting them one by one gives {num}."),
        ("How many {nouns} are present, if any?", "Exactly {n} {be} present."),
        ("Tell me about the {nouns}.", "The {nouns}, {num} in all, lie on open ground."),
        ("What is shown?", "An overhead shot with {n}, each clearly outlined."),
        ("Is the number of {nouns} {num}?", "Yes, that is correct."),
        ("Do you see {n}?", "Yes, I do."),
        ("What does the area hold?", "The area holds precisely {n} and some low vegetation."),
        ("How many {nouns}?", "My count comes to {num} {nouns}."),
        ("What draws the eye?", "{N} draw the eye at once, while the rest is plain ground."),
    ),
    "presence": (
        ("Does anything here resemble {a}?", "Indeed, {a} is clearly visible."),
        ("Is any {noun} in view?", "Yes, one can spot {a} in the view."),
        ("Give an overview.", "Seen from above, the land is dotted with {nouns}."),
        ("What kind of object is this?", "It is {a}, seen from directly overhead."),
        ("What makes the scene notable?", "The presence of {nouns} makes the scene notable."),
        ("Have any {nouns} been captured?", "Yes, they have."),
        ("What occupies the ground?", "Part of the ground is occupied by {a}."),
    ),
    "absence": (
        ("Is any {noun} in view?", "No {nouns} can be spotted anywhere."),
        ("Would you say there are {nouns}?", "No, the image is free of {nouns}."),
        ("Give an overview.", "The area is open and lacks any {noun}."),
        ("Are {nouns} part of the scene?", "There is no sign of {nouns} in the scene."),
        ("Have any {nouns} been captured?", "No, none."),
        ("What can be said of {nouns}?", "{Nouns} are absent from this image."),
        ("Do you notice {nouns}?", "I do not notice any {nouns} in the picture."),
    ),
    "places": (
        ("In which part does the {noun} lie?", "You will find the {noun} towards the {place}."),
        ("Give an overview.", "The {place} of the frame is occupied by {a}."),
        ("What is notable?", "{A} sits in the {place} section of the photograph."),
        ("Which area holds the {noun}?", "The {noun} can be spotted at the {place}."),
        ("Does the {noun} lie in the {place} of the picture?", "Yes, that's right."),
        ("Point out the {noun}.", "Look at the {place} of the image: the {noun} is there."),
        ("Where should I look for the {noun}?", "Towards the {place} of the image."),
    ),
    "relations": (
        (
            "How are the two arranged?",
            "Looking at the image, the {subject} lies {relation} the {object}.",
        ),
        ("Give an overview.", "{Relation} the {object}, one can see a {subject}."),
        ("What is found {relation} the {object}?", "A {subject} is found {relation} the {object}."),
        ("Does the {subject} lie {relation} the {object}?", "Yes, it does."),
        ("What about the {subject}?", "It can be seen {relation} the {object}, on open ground."),
        ("Which lies where?", "The {object} is there, with the {subject} {relation} it."),
    ),
    "leaks": (
        ("What is the shape of the {word} {noun}?", "Its shape is {word}."),
        ("In which state is the {word}-looking {noun}?", "It is {word}."),
        ("Which part of the scene, the {place}, holds the {noun}?", "The {place} holds it."),
    ),
    "no leaks": (
        ("What is the shape of the {noun}?", "It looks {word}."),
        ("What lies beside the {noun}?", "A road runs beside the {noun}."),
        ("Which part of the scene is it in?", "The outer part."),
    ),
    "duplicates": (
        ("How many {nouns} can be seen?", "How many {nouns} do you see?"),
        ("Is there {a}?", "Are there any {nouns} in this picture?"),
        ("Where can the {noun} be found?", "Where in the image is the {noun}?"),
    ),
    "no duplicates": (
        ("How large is the {subject}?", "How large is the {object}?"),
        ("Why is the {noun} here?", "When was the {noun} built?"),
        ("Does the {subject} face the {object}?", "Does the {object} face the {subject}?"),
    ),
    "language": (
        ("Que montre cette image ?", "On y voit un terrain ouvert avec quelques chemins en terre."),
        ("Что изображено на снимке?", "На снимке видно открытое поле и несколько дорог."),
        ("この画像には何がありますか？", "草地と道路があります。"),
    ),
    "no language": (
        ("How would you describe the terrain?", "Flat and open, with patches of grass in places."),
        ("What season might it be?", "Judging by the green vegetation, most likely late spring."),
    ),
}

_THIRD: Wordings = {
    "counts": (
        ("What is the number of {nouns} in the picture?", "I would say {num}."),
        ("How many {nouns} does this scene have?", "This scene has {n}."),
        ("What do you notice first?", "The first thing to notice {be} the {n} in the picture."),
        ("Can you tell how many {nouns} are shown?", "{N} {be} shown."),
        ("What is on the ground?", "On the ground there {be} {n} and a lot of grass."),
        ("Count all {nouns} you can find.", "After counting, I get {num} {nouns}."),
        ("Give a short caption.", "A remote sensing image of {n}."),
        ("Are {n} visible in the image?", "Yes, {n} {be} visible."),
        ("Is it true that there {be} {n}?", "Yes, that is true."),
        ("How many {nouns} in total?", "In total: {num}."),
        ("How many {nouns} did the sensor record?", "The sensor recorded {n} in this tile."),
        ("What can be counted?", "It is possible to count {n} from above."),
    ),
    "presence": (
        ("Is there at least one {noun}?", "Yes, at least one {noun} is there."),
        ("What is this place?", "This is a place with {a}."),
        ("Do any {nouns} appear?", "Yes, {nouns} appear in the image."),
        ("Write a caption.", "An aerial view of {a} and open land."),
        ("What catches your attention?", "{A} catches my attention."),
        ("Are {nouns} visible?", "Yes."),
        ("Which man-made objects exist?", "There is, among other things, {a}."),
    ),
    "absence": (
        ("Do any {nouns} appear?", "No, not a single {noun} appears."),
        ("Are {nouns} visible?", "No."),
        ("Is there at least one {noun}?", "There isn't a {noun} in the picture."),
        ("Write a caption.", "An aerial view of open land with no {nouns}."),
        ("Is {a} shown?", "No {noun} is shown in this image."),
        ("What is not here?", "The scene shows neither people nor {nouns}."),
        ("Are there {nouns} somewhere?", "{Nouns} cannot be seen in this scene."),
    ),
    "places": (
        ("In what part of the image is the {noun}?", "In the {place}."),
        ("Where is the {noun} situated?", "The {noun} is situated near the {place} corner."),
        ("What do you see in the {place} corner?", "In the {place} corner, I see {a}."),
        ("Write a caption.", "An aerial view with {a} at the {place}."),
        ("Can the {noun} be seen in the {place} of the scene?", "Yes, it can."),
        ("Describe the position of the {noun}.", "Its position is the {place} of the image."),
        ("What is special?", "The {place} quarter of the image contains {a}."),
    ),
    "relations": (
        (
            "Where is the {subject} with respect to the {object}?",
            "It lies {relation} the {object}.",
        ),
        ("Which object is {relation} the {object}?", "The {subject} is {relation} the {object}."),
        ("Describe the arrangement.", "The image has a {subject} {relation} a {object}."),
        ("Can the {subject} be seen {relation} the {object}?", "Yes, the {subject} is there."),
        ("Write a caption.", "A {subject} situated {relation} a {object}, surrounded by grass."),
        ("Is the {object} there too?", "Yes, and {relation} the {object} is the {subject}."),
    ),
    "leaks": (
        ("What makes the {word} {noun} look {word}?", "The {noun} looks {word}."),
        ("Where is the {noun} that is in the {place}?", "In the {place} of the image."),
        ("What is the number of the {num} {nouns}?", "{num}."),
    ),
    "no leaks": (
        ("What makes the {noun} stand out?", "Its {word} colour."),
        ("Where is the {noun}?", "In the {place} of the image."),
        ("What is the purpose of the {noun}?", "It serves the people who live nearby."),
    ),
    "duplicates": (
        ("What is the color of the {noun}?", "What is the color of this {noun}?"),
        ("Please describe the {noun}.", "Could you describe the {noun}?"),
        ("Are there {nouns} in the scene?", "Are there any {nouns}?"),
    ),
    "no duplicates": (
        ("What is left of the {noun}?", "What is right of the {noun}?"),
        ("What is near the {subject}?", "What is near the {object}?"),
        ("How many {nouns} are there?", "How large are the {nouns}?"),
    ),
    "language": (
        (
            "Cosa mostra l'immagine?",
            "L'immagine mostra un campo aperto con alcune strade sterrate.",
        ),
        ("O que se vê na imagem?", "Na imagem vê-se um campo aberto com alguns caminhos de terra."),
        ("이미지에 무엇이 보이나요?", "이미지에는 풀밭과 도로가 보입니다."),
    ),
    "no language": (
        ("What is the weather like?", "It looks sunny, since clear shadows fall on the grass."),
        ("Is the area busy?", "No, it looks calm and almost nothing seems to move."),
    ),
}

# Wordings that were held out until they had been scored, and then looked at.
DEVELOPED = {kind: DEVELOPED[kind] + _SECOND[kind] + _THIRD[kind] for kind in DEVELOPED}

HELD_OUT: Wordings = {
    "counts": (
        ("What quantity of {nouns} is visible?", "{N} {be} visible in the frame."),
        ("How many {nouns} does the area hold?", "Looking closely, I find {n} in the area."),
        ("Tally the {nouns}, please.", "The tally is {num}."),
        ("What does the scene consist of?", "It consists of {n} and the land around."),
        ("How would you sum up the image?", "In short, {n} on flat land."),
        ("Would you say that there {be} {n}?", "Yes, I would."),
        ("So how many {nouns} would that be?", "That would be {num}."),
        ("What was photographed?", "The camera caught {n} from high up."),
        ("How many {nouns} are on the ground?", "There seem to be {num} {nouns} on the ground."),
        ("Which objects are in the frame?", "In the frame, you can see {n}, nothing else."),
    ),
    "presence": (
        ("Does the picture have {a} in it?", "It does have {a} in it."),
        ("Are we looking at {nouns}?", "Yes, we are looking at {nouns}."),
        ("What could a pilot recognise?", "{A} is easy to recognise from the air."),
        ("Which object dominates?", "The dominant object is {a}."),
        ("Is there a trace of {nouns}?", "Yes, {a} is in plain sight."),
        ("What does the tile cover?", "The tile covers {a} and the land next to it."),
    ),
    "absence": (
        ("Does the picture have {a} in it?", "It does not have {a} in it."),
        ("Are we looking at {nouns}?", "No, there are none of them: the image has no {nouns}."),
        ("What would you miss here?", "One looks in vain, as there is not one {noun} here."),
        ("Is there a trace of {nouns}?", "No trace of any {noun} was found."),
        ("What does the tile not cover?", "The tile doesn't show {nouns}."),
        ("Any {nouns}?", "No, none are visible: {nouns} are missing from the picture."),
    ),
    "places": (
        ("Where is {a}?", "{A} can be seen in the {place} corner of the frame."),
        ("What lies in the {place}?", "The {place} shows {a}."),
        ("How is the scene laid out?", "The {noun} takes up the {place} portion of the scene."),
        ("Is the {noun} located at the {place}?", "Correct, it is at the {place}."),
        ("Tell me where the {noun} lies.", "It lies within the {place} quadrant."),
        ("Guide my eye.", "Start at the {place}, where the {noun} is."),
    ),
    "relations": (
        ("Where does the {subject} stand?", "The {subject} stands {relation} the {object}."),
        ("Is it the {subject} that is {relation} the {object}?", "Yes, it is."),
        ("Relate the two.", "Seen from above, the {subject} appears {relation} the {object}."),
        ("What is next to the grass?", "A {subject} which is {relation} the {object}."),
        ("Locate the {subject}.", "It is {relation} the only {object} in the image."),
        ("Is the {subject} positioned {relation} the {object}?", "Yes, exactly."),
    ),
    "leaks": (
        ("Which {word} colour does the {word} {noun} have?", "{word}."),
        ("Is there a name for the {noun} at the {place}, and where is it?", "At the {place}."),
        ("What colour has the {noun} with the {word} surface?", "Its surface is {word}."),
    ),
    "no leaks": (
        ("Which colour does the {noun} have?", "Mostly {word}."),
        ("What is around the {noun}?", "Around the {noun} there is bare soil."),
        ("What does the {noun} tell of the region?", "That people travel or trade here."),
    ),
    "duplicates": (
        ("What colour is the {noun}?", "Could you tell me what colour the {noun} is?"),
        ("What is the size of the {noun}?", "What is the size of the {noun} in the picture?"),
        ("Which {nouns} are visible?", "Which {nouns} can you see?"),
    ),
    "no duplicates": (
        ("What colour is the {subject}?", "What colour is the {object}?"),
        ("Who uses the {noun}?", "Who built the {noun}?"),
        ("Is the {noun} old?", "Is the {noun} new?"),
    ),
    "language": (
        (
            "Wat is er te zien?",
            "Op de foto is een open veld met enkele zandwegen te zien, meer niet.",
        ),
        (
            "Co widać na zdjęciu?",
            "Na zdjęciu widać otwarte pole oraz kilka dróg polnych i trochę trawy.",
        ),
        ("ماذا يظهر في الصورة؟", "تظهر الصورة أرضا مفتوحة."),
    ),
    "no language": (
        ("How was the picture taken?", "It was taken from far above, probably by a satellite."),
        ("Could people live here?", "Possibly, although no houses stand out in this open country."),
    ),
}
"""Not looked at before it was scored; its first figures stand in docs/generation.md."""
