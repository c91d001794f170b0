"""The instruction templates of "Instruction-Annotation Adaption" (the paper's section 3.2).

``{}`` is where the record's own words go: a question, an expression, a box. A question is a
sentence that may lack its question mark, so what follows it is on another line. An expression is
part of a sentence. The first template of a task is the one that ``wording="fixed"`` uses. The first
two captioning templates are the paper's.
"""

CAPTION = (
    "Provide a one-sentence caption for this remote sensing image.",
    "Please provide a one-sentence caption for the provided remote sensing image.",
    "Describe this remote sensing image in one sentence.",
    "Write a one-sentence description of the remote sensing image.",
    "Summarize what this remote sensing image shows in a single sentence.",
    "Give a short caption for this aerial image.",
    "What does this remote sensing image show? Answer in one sentence.",
    "Caption the satellite image in one sentence.",
    "In one sentence, describe the scene seen from above.",
    "Briefly describe the content of this overhead image.",
    "Compose a single-sentence caption for the aerial photograph.",
    "State in one sentence what can be seen in this remote sensing image.",
    "Provide a brief caption of the scene in this satellite image.",
    "Please describe the aerial image with one sentence.",
    "Give a one-sentence summary of this overhead scene.",
    "How would you caption this remote sensing image? Use one sentence.",
    "Write a concise caption for the satellite image shown.",
    "Express the content of this aerial image in one short sentence.",
    "Offer a one-sentence description of the area in this remote sensing image.",
    "Tell in a single sentence what this image of the Earth's surface shows.",
)

VQA = (
    "{}\nAnswer the question using a single word or phrase.",
    "Question: {}\nAnswer with a single word or phrase.",
    "{}\nAnswer briefly.",
    "{}\nGive a short answer.",
    "Based on the remote sensing image, answer in a word or phrase: {}",
    "Look at the aerial image. {}\nReply with one word or phrase.",
    "{}\nReply using a single word or phrase.",
    "Answer this question about the satellite image briefly: {}",
    "{}\nKeep the answer to a word or short phrase.",
    "Using the overhead image, answer: {}\nUse a single word or phrase.",
    "Please answer in a word or phrase. {}",
    "{}\nRespond with a single word or phrase.",
    "Here is a question about the image: {}\nAnswer as briefly as possible.",
    "From what the remote sensing image shows: {}\nOne word or phrase is enough.",
    "{}\nNo explanation, only the answer.",
    "Question about the scene: {}\nShort answer, please.",
    "Consider the image and answer with one word or phrase. {}",
    "{}\nState the answer only.",
    "Inspect the satellite image and answer briefly. {}",
    "Give the answer alone, in a word or phrase: {}",
)

GROUNDING = (
    "Where is {} in this remote sensing image? Give its bounding box.",
    "Provide the bounding box of the region this sentence describes: {}",
    "Locate {} in the image and return its bounding box.",
    "Give the bounding box coordinates of {}.",
    "Find {} in the aerial image. Answer with a bounding box.",
    "Detect {} shown in the remote sensing image.",
    "Which region does this describe: {}? Answer with its bounding box.",
    "Mark the position of {} with a bounding box.",
    "Output the bounding box for the following object: {}",
    "Ground this expression in the image: {}",
    "What are the box coordinates of {} in the satellite image?",
    "Please locate {} and give the box around it.",
    "In the overhead image, where is {}? Reply with box coordinates.",
    "Return the location of {} as a bounding box.",
    "Identify the object referred to as {} and give its box.",
    "Point out {} by its bounding box.",
    "Draw a box around {}: what are its coordinates?",
    "Report the bounding box that encloses {}.",
    "Search the image for {} and state its bounding box.",
    "The target is {}. Give its bounding box.",
)

REGION_CAPTION = (
    "Describe the object in the region {} of this remote sensing image.",
    "What is in the region {}?",
    "Provide a short description of the region {}.",
    "Give a phrase that refers to the object in {}.",
    "Describe what the bounding box {} contains.",
    "Write a caption for the region {} of the aerial image.",
    "Which object lies in the box {}? Describe it.",
    "Refer to the object in {} with one phrase.",
    "Please describe the target located at {}.",
    "What does the area {} of the satellite image show?",
    "Give a one-phrase description of the box {}.",
    "Look at the region {} and say what it holds.",
    "Caption the part of the image inside {}.",
    "Name and describe the object found at {}.",
    "In the overhead image, what is at {}?",
    "State briefly what is within {}.",
    "How would you refer to the object in the region {}?",
    "Describe the content of the box {} in a phrase.",
    "Tell what can be seen in the region {}.",
    "Summarize the region {} in one short phrase.",
)

# A class in the plural; the first is the paper's.
DETECTION = (
    "Detect {} shown in the remote sensing image.",
    "Detect all {} in this remote sensing image. Give their bounding boxes.",
    "Provide the bounding boxes of all {} in the image.",
    "Locate all {} and return their bounding boxes.",
    "Give the bounding box coordinates of all {}.",
    "Find all {} in the aerial image. Answer with bounding boxes.",
    "Where are {} in the satellite image? Give the boxes.",
    "Mark all {} with bounding boxes.",
    "Output a bounding box for each of these objects: {}",
    "List the box coordinates of all {} in the image.",
    "Please locate all {} and give the boxes around them.",
    "In the overhead image, where are {}? Reply with box coordinates.",
    "Return the locations of all {} as bounding boxes.",
    "Identify all {} and give their boxes.",
    "Point out all {} by their bounding boxes.",
    "Draw boxes around all {}: what are the coordinates?",
    "Report the bounding boxes that enclose {}.",
    "Search the image for {} and state their bounding boxes.",
    "The targets are {}. Give their bounding boxes.",
    "What are the bounding boxes of all {} shown?",
)

NO_OBJECT = "There are none."
"""The answer where an image has no object of the class that is to be detected."""

COUNT = (
    "How many objects of the class {} are in the image?",
    "What is the number of objects of the class {} in the image?",
    "Count the objects of the class {}: how many are there?",
    "How many times does the class {} occur in the image?",
)

PRESENCE = (
    "Is there any {} in the image?",
    "Does the image show any {}?",
    "Can any {} be seen in the image?",
    "Is any object of the class {} present in the image?",
)

RELATION = (
    "Is {}?",
    "In the image, is {}?",
    "Seen from above, is {}?",
    "Does the image show {}?",
)

PLACE = (
    "Is there any {}?",
    "Can any {} be seen?",
    "Is any {} visible?",
    "Can you find any {}?",
)

SCENE = (
    "Classify the image within one of the given classes: {}. Answer with one word or short phrase.",
    "Which of these classes does the remote sensing image show: {}? Answer with the class alone.",
    "Classify the scene in the image as one of these classes: {}.",
    "To which of these classes does the scene belong: {}?",
    "What kind of scene is this? Choose one from: {}.",
    "Choose the class that fits the aerial image best: {}. Reply with its name only.",
    "Select the scene class of this remote sensing image from the list: {}.",
    "Categorize the satellite image into one of the following classes: {}.",
    "Here are the possible scene classes: {}. Which one does the image show?",
    "Assign one of these labels to the overhead image: {}.",
    "Which label describes the scene best: {}? One label is enough.",
    "Identify the land use in the image. The classes are: {}.",
    "Name the class of this scene, one of: {}.",
    "From the given classes, pick the one that the image belongs to: {}.",
    "What does the remote sensing image show? Options: {}.",
    "Determine the scene category of the aerial photograph. Categories: {}.",
    "The scene is one of the following: {}. Which one is it?",
    "Give the single best class for the satellite image: {}. No explanation, only the class.",
    "Look at the overhead image and decide between these scene classes: {}.",
    "Please classify this remote sensing image. Possible classes: {}. Answer briefly.",
)
